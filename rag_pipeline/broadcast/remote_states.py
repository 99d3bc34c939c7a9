"""Views: the state of pipelines that publish elsewhere, kept from their events as they pass the hub."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from rag_pipeline.common import native
from rag_pipeline.contract import events
from rag_pipeline.contract.events import STATUS, Event, Json
from rag_pipeline.contract.state_reducer import apply
from rag_pipeline.journal import Entry
from rag_pipeline.status.model import Totals

STALLED = "stalled"
ENDS = (events.FILE_COMPLETED, events.FILE_FAILED, events.FILE_SKIPPED, events.FILE_DELETED)
"""In the order of the totals."""


class View(NamedTuple):
    """One pipeline as of its last event."""

    namespaces: tuple[str, ...]
    state: Json


class ViewBody(NamedTuple):
    """A state as JSON, immutable."""

    state: Json

    def to_json(self, at: float) -> Json:  # noqa: ARG002 - the protocol's signature
        """Return the state."""
        return self.state


class Views:
    """The hub's thread changes them, any thread may read."""

    def __init__(self) -> None:
        self._views: dict[str, View] = {}
        self._stalled: frozenset[str] = frozenset()
        self._ended: dict[str, list[int]] = {}
        self._lock = native.allocate_lock()  # protects the two

    def begin(self, entries: Iterable[Entry]) -> None:
        """Start over with each pipeline's last status and what came after it."""
        with self._lock:
            self._views = {}
        for entry in entries:
            self.note(entry)

    def note(self, entry: Entry) -> None:
        """Take in an event."""
        event = entry.event
        if event.pipeline_id is None:
            return
        known = self._views.get(event.pipeline_id)
        state = apply(None if known is None else known.state, event.name, entry.take_payload())
        if state is not None:
            with self._lock:
                self._views[event.pipeline_id] = View(event.namespaces, state)
        if event.name in ENDS:
            self._ended.setdefault(event.pipeline_id, [0, 0, 0, 0])[ENDS.index(event.name)] += 1

    def ended(self, pipeline_id: str) -> Totals:
        """Return how often files came to each end since this server began to see the pipeline."""
        return Totals(*self._ended.get(pipeline_id, ()))

    def mark_stalled(self, pipeline_ids: Iterable[str]) -> list[str]:
        """Set which pipelines have stopped reporting; return those for which that is new, or over."""
        now = frozenset(pipeline_ids)
        with self._lock:
            changed, self._stalled = now ^ self._stalled, now
            return sorted(changed & self._views.keys())

    def namespaces(self, pipeline_id: str) -> tuple[str, ...]:
        """Return where the pipeline is shown."""
        view = self._views.get(pipeline_id)
        return () if view is None else view.namespaces

    def ids(self, namespace: str | None = None) -> list[str]:
        """Return the pipelines shown in a namespace, or all, in the order in which they were first seen."""
        with self._lock:
            return [key for key, view in self._views.items() if namespace is None or namespace in view.namespaces]

    def state(self, pipeline_id: str) -> Json | None:
        """Return the state as it stands; None for an unknown pipeline."""
        with self._lock:
            view, stalled = self._views.get(pipeline_id), pipeline_id in self._stalled
        if view is None:
            return None
        state = {**view.state, "seconds_until_next_check": _seconds_until(view.state["next_check_time"])}
        return {**state, "status": STALLED} if stalled else state

    def event(self, pipeline_id: str) -> Event | None:
        """Return the state as a ``pipeline:status`` that sums up; None for an unknown pipeline."""
        state = self.state(pipeline_id)
        if state is None:
            return None
        return Event(
            STATUS,
            self.namespaces(pipeline_id),
            pipeline_id,
            state["pipeline_type"],
            state["epoch"],
            state["seq"],
            time.time(),
            ViewBody(state),
            numbered=False,
        )


def _seconds_until(moment: str | None) -> float | None:
    return None if moment is None else round(max(0.0, datetime.fromisoformat(moment).timestamp() - time.time()), 3)
