"""Gaps: events that were dropped, and the ``pipeline:status`` with ``gap: true`` that stands for them."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

from rag_pipeline.contract import events
from rag_pipeline.contract.events import Event, Json
from rag_pipeline.journal.base import Entry, StoredBody
from rag_pipeline.journal.weight import weigh
from rag_pipeline.status.model import StateBody

T = TypeVar("T")

GAP = '"gap":true,'
"""The member of a status that stands for events which are missing."""


class GapBody(NamedTuple):
    """A whole state in place of events that were dropped."""

    state: StateBody

    def to_json(self, at: float) -> Json:
        """Return the state, marked."""
        return {**self.state.to_json(at), "gap": True}


def is_gap(event: Event) -> bool:
    """Return whether the event stands for others that are missing."""
    body = event.body
    if isinstance(body, StoredBody):
        return event.name == events.STATUS and ('"gap":true' in body.text[:16] or body.text.endswith('"gap":true}'))
    return isinstance(body, GapBody)


class EventBound:
    """Which items of a hand-over may be dropped: events. A status can stand for what was; the rest is control."""

    weigh = staticmethod(weigh)

    def subject(self, item: object) -> str:
        """Return the id of the pipeline that an event is of."""
        return _event_of(item).pipeline_id or ""

    def is_loss(self, item: object) -> bool:
        """Return whether an event is numbered: the others sum up what numbered ones have said."""
        return _event_of(item).numbered

    def after_gap(self, item: T) -> T | None:
        """Return a status marked as a gap, None for any other event.

        It is numbered, so that whoever asks for the events that it stands for gets it.
        """
        event = _event_of(item)
        if event.name != events.STATUS:
            return None
        if isinstance(item, Entry):
            # The store has what was dropped on the way from it, so this mark is for those who are connected.
            return Entry(item.position, event, f"{{{GAP}{item.text[1:]}")  # type: ignore[return-value]
        if isinstance(event.body, StateBody):
            return event._replace(body=GapBody(event.body), numbered=True)  # type: ignore[return-value]
        return item


def _event_of(item: object) -> Event:
    if isinstance(item, Entry):
        return item.event
    assert isinstance(item, Event)
    return item
