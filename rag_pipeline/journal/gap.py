"""Gaps: dropped events, and the ``pipeline:status`` with ``gap: true`` that replaces them."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

from rag_pipeline.contract import events
from rag_pipeline.contract.events import Json, PipelineEvent
from rag_pipeline.journal.base import Entry, StoredBody
from rag_pipeline.journal.weight import weigh
from rag_pipeline.status.model import StateBody

T = TypeVar("T")

GAP = '"gap":true,'
"""The JSON member that marks a status as a replacement for missing events."""


class GapBody(NamedTuple):
    """A whole state that replaces dropped events."""

    state: StateBody

    def to_json(self, at: float) -> Json:
        """Return the state, marked as a gap."""
        return {**self.state.to_json(at), "gap": True}


def is_gap(event: PipelineEvent) -> bool:
    """Return whether the event replaces missing ones."""
    body = event.body
    if isinstance(body, StoredBody):
        return event.name == events.STATUS and ('"gap":true' in body.text[:16] or body.text.endswith('"gap":true}'))
    return isinstance(body, GapBody)


class EventOverflow:
    """Overflow rule of a mailbox: events may be dropped, and a status replaces them; control messages may not."""

    weigh = staticmethod(weigh)

    def subject(self, item: object) -> str:
        """Return the id of the event's pipeline."""
        return _event_of(item).pipeline_id or ""

    def is_loss(self, item: object) -> bool:
        """Return whether the event is numbered; the others only summarize numbered ones."""
        return _event_of(item).numbered

    def after_gap(self, item: T) -> T | None:
        """Return a status marked as a gap; None for any other event.

        It is numbered, so a client that asks for the missing events gets it.
        """
        event = _event_of(item)
        if event.name != events.STATUS:
            return None
        if isinstance(item, Entry):
            # Dropped on the way from the journal, which still has it: the mark is for connected clients only.
            return Entry(item.position, event, f"{{{GAP}{item.text[1:]}")  # type: ignore[return-value]
        if isinstance(event.body, StateBody):
            return event._replace(body=GapBody(event.body), numbered=True)  # type: ignore[return-value]
        return item


def _event_of(item: object) -> PipelineEvent:
    if isinstance(item, Entry):
        return item.event
    assert isinstance(item, PipelineEvent)
    return item
