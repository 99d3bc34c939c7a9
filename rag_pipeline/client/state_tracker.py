"""The client rules of docs/protocol.md as pure code: no socket, no thread, no clock.

Each kept state is one that the pipeline really had. :attr:`StateTracker.live` says whether it is the current one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from rag_pipeline.contract import events
from rag_pipeline.contract.events import NO_RESUME_OFFSET, Json
from rag_pipeline.contract.state_reducer import apply_event

HEAL_SECONDS = 2.0
"""Seconds to wait for the status that closes a gap; the service sends one within 100 ms after file events."""
QUIET_SECONDS = 0.5
"""After this much silence the initial snapshot counts as complete, even if its last status did not say so."""
LEFT_OVER_SECONDS = 2.0
"""Seconds after a resume for which a pipeline that the service has not mentioned is kept."""

_ENVELOPE = frozenset({"pipeline_id", "pipeline_type", "epoch", "seq", "offset", "timestamp"})
_ENDS = frozenset({events.FILE_COMPLETED, events.FILE_FAILED, events.FILE_SKIPPED, events.FILE_DELETED})


class Event(NamedTuple):
    """One event: its name, such as ``pipeline:file_completed``, and its JSON object."""

    name: str
    data: Json


class StateTracker:
    """Keeps the states of a namespace's pipelines across connections.

    ``now`` is monotonic seconds in every call. State objects are replaced, never changed, so callers may keep them.
    """

    def __init__(self, namespace: str = events.NS_PIPELINE) -> None:
        self.namespace = namespace
        self.states: dict[str, Json] = {}
        self.offset: str | None = None
        self.recovered: bool | None = None  # the service's answer to the last attempt to resume
        self._complete = False  # this connection has delivered everything up to now
        self._resuming = False
        self._has_status = False  # on this connection
        self._reported: set[str] = set()  # pipelines that had a status on this connection
        self._last: dict[str, tuple[str, int]] = {}  # epoch and seq of the last event of each pipeline
        self._gaps: dict[str, float] = {}  # pipelines with missing events, and the deadline for a healing status
        self._last_event_at = 0.0
        self._resumed_at: float | None = None

    @property
    def live(self) -> bool:
        """Whether the states are what the service shows now."""
        return self._complete and not self._gaps

    def begin(self, now: float) -> str | None:
        """Begin a connection; return the offset to resume from, None to start with a snapshot."""
        self._complete = self._has_status = False
        self._resuming = self.offset is not None
        self._reported.clear()
        self._gaps.clear()
        self._last_event_at, self._resumed_at = now, None
        return self.offset

    def take(self, name: str, data: Json, now: float) -> bool:
        """Take in an event; return False if it is a repetition, or is not an event of this protocol."""
        self._last_event_at = now
        if not _is_valid(name, data):
            return False
        if name == events.STATUS:
            self._take_status(data)
        elif not self._take_file_event(name, data, now):
            return False
        self.offset = data["offset"]
        self._check_complete(name, data, now)
        return True

    def tick(self, now: float) -> bool:
        """Check deadlines, several times a second; return True if the client must reconnect and start afresh."""
        silent = now - self._last_event_at >= QUIET_SECONDS
        if not self._complete and not self._resuming and self._has_status and silent:
            self._finish_snapshot()
        if self._resumed_at is not None and now - self._resumed_at >= LEFT_OVER_SECONDS:
            self._resumed_at = None
            self._drop_unreported()
        if any(deadline <= now for deadline in self._gaps.values()):
            self.offset = None
            return True
        return False

    # -- events ----------------------------------------------------------------------------------------------------

    def _take_status(self, data: Json) -> None:
        self._has_status = True
        is_current = not self._resuming or "recovered" in data  # rather than replayed from the time of the break
        if "recovered" in data:
            self.recovered = data["recovered"]
            self._resuming = self._resuming and data["recovered"]
        pipeline_id = data["pipeline_id"]
        if pipeline_id is None:  # a namespace that has no pipeline yet
            return
        if is_current:
            self._reported.add(pipeline_id)
        self._gaps.pop(pipeline_id, None)
        if events.type_of(self.namespace) not in (None, data["pipeline_type"]):
            self._forget(pipeline_id)  # its type has changed: this is its last status in this namespace
            return
        self._drop_placeholders(pipeline_id, data["epoch"])
        state = apply_event(None, events.STATUS, data)
        assert state is not None
        self.states[pipeline_id] = state
        self._last[pipeline_id] = (data["epoch"], data["seq"])

    def _take_file_event(self, name: str, data: Json, now: float) -> bool:
        pipeline_id, epoch, seq = data["pipeline_id"], data["epoch"], data["seq"]
        last = self._last.get(pipeline_id)
        if last is not None and epoch == last[0] and seq <= last[1]:
            return False
        if last is None or (epoch, seq) != (last[0], last[1] + 1):
            # Applied to any state but its predecessor, the event would make a state that never was. A replay may leave
            # out a status that a later one supersedes; that one comes, however long the replay takes.
            self._gaps.setdefault(pipeline_id, math.inf if self._resuming else now + HEAL_SECONDS)
        self._last[pipeline_id] = (epoch, seq)
        if pipeline_id not in self._gaps:
            self._gaps[pipeline_id] = now + HEAL_SECONDS  # stays if apply raises on malformed data
            state = apply_event(self.states[pipeline_id], name, data)
            assert state is not None
            self.states[pipeline_id] = state
            del self._gaps[pipeline_id]
        return True

    def _drop_placeholders(self, pipeline_id: str, epoch: str) -> None:
        """Drop the state of a pipeline that had not reported before and now reports under another id."""
        for other, state in list(self.states.items()):
            unreported = state["seq"] == 0 and other != pipeline_id
            if unreported and (state["epoch"] == epoch or state["pipeline_type"] is None):
                self._forget(other)

    def _forget(self, pipeline_id: str) -> None:
        for by_id in (self.states, self._last, self._gaps):
            by_id.pop(pipeline_id, None)

    # -- the end of the snapshot or of the replay -------------------------------------------------------------------

    def _check_complete(self, name: str, data: Json, now: float) -> None:
        if self._complete:
            return
        if self._resuming:
            if name == events.STATUS and data.get("recovered") is True:
                self._complete = True
                self._resuming = False
                # The other pipelines' current states follow; a pipeline that is gone gets none.
                self._resumed_at = now
                self._gaps = dict.fromkeys(self._gaps, now + HEAL_SECONDS)
        elif data["offset"] != NO_RESUME_OFFSET:
            self._finish_snapshot()

    def _finish_snapshot(self) -> None:
        self._complete = True
        self._drop_unreported()

    def _drop_unreported(self) -> None:
        for pipeline_id in self.states.keys() - self._reported:
            self._forget(pipeline_id)


def _is_valid(name: str, data: Mapping[str, Any]) -> bool:
    """Return whether this is an event of the protocol: at a wrong address, another service may answer."""
    if not data.keys() >= _ENVELOPE or not isinstance(data["seq"], int) or not isinstance(data["offset"], str):
        return False
    if name == events.STATUS:
        return isinstance(data.get("files_processing"), list)
    ended = name in _ENDS
    if not (ended or name in (events.FILE_STARTED, events.FILE_PROGRESS)) or not isinstance(data["pipeline_id"], str):
        return False
    return isinstance(data.get("file"), dict) and (not ended or isinstance(data.get("totals"), dict))
