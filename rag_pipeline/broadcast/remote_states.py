"""The states of pipelines that run in other processes, computed from their events as these pass the hub."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from rag_pipeline.common import native
from rag_pipeline.contract import events
from rag_pipeline.contract.events import STATUS, Json, PipelineEvent
from rag_pipeline.contract.state_reducer import apply_event
from rag_pipeline.journal import Entry
from rag_pipeline.status.model import FileTotals
from rag_pipeline.status.outcomes import DELETED, FAILED, PROCESSED, SKIPPED, WARNED

STALLED = "stalled"
OUTCOMES = {
    events.FILE_COMPLETED: PROCESSED,
    events.FILE_FAILED: FAILED,
    events.FILE_SKIPPED: SKIPPED,
    events.FILE_DELETED: DELETED,
}
"""The outcome of a file after an event of this name."""


class _RemoteState(NamedTuple):
    """One pipeline as of its last event."""

    namespaces: tuple[str, ...]
    state: Json


class JsonBody(NamedTuple):
    """The body of an event that is JSON already."""

    state: Json

    def to_json(self, at: float) -> Json:  # noqa: ARG002 - the protocol's signature
        """Return the state."""
        return self.state


class RemoteStates:
    """The states by pipeline id. The hub's thread changes them, any thread may read."""

    def __init__(self) -> None:
        self._states: dict[str, _RemoteState] = {}
        self._stalled: frozenset[str] = frozenset()
        self._outcomes: dict[str, FileTotals] = {}
        self._lock = native.allocate_lock()  # protects _states and _stalled

    def begin(self, entries: Iterable[Entry]) -> None:
        """Replace all states by those of the entries: each pipeline's last status, then its later events."""
        with self._lock:
            self._states = {}
        for entry in entries:
            self.note(entry)

    def note(self, entry: Entry) -> None:
        """Apply an event to its pipeline's state."""
        event = entry.event
        if event.pipeline_id is None:
            return
        remote = self._states.get(event.pipeline_id)
        payload = entry.take_payload()
        state = apply_event(None if remote is None else remote.state, event.name, payload)
        if state is not None:
            with self._lock:
                self._states[event.pipeline_id] = _RemoteState(event.namespaces, state)
        outcome = OUTCOMES.get(event.name)
        if outcome is not None:
            # Earlier versions write no warnings.
            counted = WARNED if outcome == PROCESSED and payload["file"].get("warnings") else outcome
            self._outcomes[event.pipeline_id] = self.outcomes(event.pipeline_id).moved(0, counted)

    def outcomes(self, pipeline_id: str) -> FileTotals:
        """Return how often files ended in each outcome since this server first saw the pipeline."""
        return self._outcomes.get(pipeline_id, FileTotals())

    def mark_stalled(self, pipeline_ids: Iterable[str]) -> list[str]:
        """Set which pipelines have stopped reporting; return the pipelines for which this has changed."""
        now = frozenset(pipeline_ids)
        with self._lock:
            changed, self._stalled = now ^ self._stalled, now
            return sorted(changed & self._states.keys())

    def ids(self) -> list[str]:
        """Return the ids of all pipelines, in the order in which they were first seen."""
        with self._lock:
            return list(self._states)

    def all(self) -> list[Json]:
        """Return the states of all pipelines, in the same order."""
        return [state for pipeline_id in self.ids() if (state := self.state(pipeline_id)) is not None]

    def state(self, pipeline_id: str) -> Json | None:
        """Return the current state; None for an unknown pipeline."""
        with self._lock:
            remote, stalled = self._states.get(pipeline_id), pipeline_id in self._stalled
        if remote is None:
            return None
        state = {**remote.state, "seconds_until_next_check": _seconds_until(remote.state["next_check_time"])}
        return {**state, "status": STALLED} if stalled else state

    def event(self, pipeline_id: str) -> PipelineEvent | None:
        """Return the state as a ``pipeline:status`` without a number of its own; None for an unknown pipeline."""
        remote, state = self._states.get(pipeline_id), self.state(pipeline_id)
        if remote is None or state is None:
            return None
        return PipelineEvent(
            STATUS,
            remote.namespaces,
            pipeline_id,
            state["pipeline_type"],
            state["epoch"],
            state["seq"],
            time.time(),
            JsonBody(state),
            numbered=False,
        )


def _seconds_until(moment: str | None) -> float | None:
    return None if moment is None else round(max(0.0, datetime.fromisoformat(moment).timestamp() - time.time()), 3)
