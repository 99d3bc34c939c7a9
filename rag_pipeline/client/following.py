"""The rules of docs/protocol.md for a client that keeps a picture of the state; pure: no socket, no thread, no clock.

The picture is always true: each state in it is one that the pipeline had. It may be an old one until the service
can be asked again, and :attr:`Following.live` says whether it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from rag_pipeline.contract import events
from rag_pipeline.contract.events import NOWHERE, Json
from rag_pipeline.contract.state_reducer import apply

HEAL_SECONDS = 2.0
"""How long the status that heals a gap may take; the service sends one within 100 ms after file events."""
QUIET_SECONDS = 0.5
"""After so much silence a newcomer has all states, though the last one did not say so."""
LEFT_OVER_SECONDS = 2.0
"""So long after it has caught up, a pipeline that the service did not name is there no more."""

_ENVELOPE = frozenset({"pipeline_id", "pipeline_type", "epoch", "seq", "offset", "timestamp"})
_ENDS = frozenset({events.FILE_COMPLETED, events.FILE_FAILED, events.FILE_SKIPPED, events.FILE_DELETED})


class Event(NamedTuple):
    """One event as it came: its name, such as ``pipeline:file_completed``, and its one JSON object."""

    name: str
    data: Json


class Following:
    """Keeps the states of a namespace's pipelines over any number of connections.

    ``now`` is monotonic seconds in every call. States are never changed, but replaced: who has one may keep it.
    """

    def __init__(self, namespace: str = events.NS_PIPELINE) -> None:
        self.namespace = namespace
        self.states: dict[str, Json] = {}
        self.offset: str | None = None
        self.recovered: bool | None = None  # what the service said of the last attempt to go on
        self._whole = False  # this connection has brought everything up to now
        self._resuming = False
        self._greeted = False
        self._named: set[str] = set()  # by a status, on this connection
        self._last: dict[str, tuple[str, int]] = {}  # epoch and seq of the last event of each pipeline
        self._unsure: dict[str, float] = {}  # pipelines with a gap, and until when it has to be healed
        self._came_at = 0.0
        self._caught_up_at: float | None = None

    @property
    def live(self) -> bool:
        """Whether the picture is what the service shows now."""
        return self._whole and not self._unsure

    def begin(self, now: float) -> str | None:
        """Begin a connection; return the offset to go on from, None to start afresh."""
        self._whole = self._greeted = False
        self._resuming = self.offset is not None
        self._named.clear()
        self._unsure.clear()
        self._came_at, self._caught_up_at = now, None
        return self.offset

    def take(self, name: str, data: Json, now: float) -> bool:
        """Take an event in; return whether it is news, rather than one that came before or that is no event of ours."""
        self._came_at = now
        if not _well_formed(name, data):
            return False
        if name == events.STATUS:
            self._take_status(data)
        elif not self._take_file_event(name, data, now):
            return False
        self.offset = data["offset"]
        self._notice_the_whole(name, data, now)
        return True

    def tick(self, now: float) -> bool:
        """Notice what did not come in time; return whether to connect anew, afresh. To be called every now and then."""
        if not self._whole and not self._resuming and self._greeted and now - self._came_at >= QUIET_SECONDS:
            self._complete()
        if self._caught_up_at is not None and now - self._caught_up_at >= LEFT_OVER_SECONDS:
            self._caught_up_at = None
            self._drop_unnamed()
        if any(until <= now for until in self._unsure.values()):
            self.offset = None
            return True
        return False

    # -- events ----------------------------------------------------------------------------------------------------

    def _take_status(self, data: Json) -> None:
        self._greeted = True
        shown_now = not self._resuming or "recovered" in data  # rather than replayed from the time of the break
        if "recovered" in data:
            self.recovered = data["recovered"]
            self._resuming = self._resuming and data["recovered"]
        pipeline_id = data["pipeline_id"]
        if pipeline_id is None:  # a namespace that has no pipeline yet
            return
        if shown_now:
            self._named.add(pipeline_id)
        self._unsure.pop(pipeline_id, None)
        if events.type_of(self.namespace) not in (None, data["pipeline_type"]):
            self._forget(pipeline_id)  # it has changed its type, and says so here for the last time
            return
        self._make_room(pipeline_id, data["epoch"])
        state = apply(None, events.STATUS, data)
        assert state is not None
        self.states[pipeline_id] = state
        self._last[pipeline_id] = (data["epoch"], data["seq"])

    def _take_file_event(self, name: str, data: Json, now: float) -> bool:
        pipeline_id, here = data["pipeline_id"], (data["epoch"], data["seq"])
        last = self._last.get(pipeline_id)
        if last is not None and here[0] == last[0] and here[1] <= last[1]:
            return False
        if last is None or here != (last[0], last[1] + 1):
            # Applied to a state that is not the one before, it would make one that never was. While events are replayed
            # a status may be missing, which a later one supersedes: that one comes, however long the replay takes.
            self._unsure.setdefault(pipeline_id, math.inf if self._resuming else now + HEAL_SECONDS)
        self._last[pipeline_id] = here
        if pipeline_id not in self._unsure:
            self._unsure[pipeline_id] = now + HEAL_SECONDS  # should the event not be what it seems
            state = apply(self.states[pipeline_id], name, data)
            assert state is not None
            self.states[pipeline_id] = state
            del self._unsure[pipeline_id]
        return True

    def _make_room(self, pipeline_id: str, epoch: str) -> None:
        """Drop what stood for a pipeline that had not reported yet, and has another id now that it has."""
        for other, state in list(self.states.items()):
            unreported = state["seq"] == 0 and other != pipeline_id
            if unreported and (state["epoch"] == epoch or state["pipeline_type"] is None):
                self._forget(other)

    def _forget(self, pipeline_id: str) -> None:
        for kept in (self.states, self._last, self._unsure):
            kept.pop(pipeline_id, None)

    # -- the whole picture -----------------------------------------------------------------------------------------

    def _notice_the_whole(self, name: str, data: Json, now: float) -> None:
        if self._whole:
            return
        if self._resuming:
            if name == events.STATUS and data.get("recovered") is True:
                self._whole = True
                self._resuming = False
                # The other pipelines' states are on their way, as is the silence of those that are gone.
                self._caught_up_at = now
                self._unsure = dict.fromkeys(self._unsure, now + HEAL_SECONDS)
        elif data["offset"] != NOWHERE:
            self._complete()

    def _complete(self) -> None:
        self._whole = True
        self._drop_unnamed()

    def _drop_unnamed(self) -> None:
        for pipeline_id in self.states.keys() - self._named:
            self._forget(pipeline_id)


def _well_formed(name: str, data: Mapping[str, Any]) -> bool:
    """Return whether the event is one of ours: another service may answer at a wrong address."""
    if not data.keys() >= _ENVELOPE or not isinstance(data["seq"], int) or not isinstance(data["offset"], str):
        return False
    if name == events.STATUS:
        return isinstance(data.get("files_processing"), list)
    ended = name in _ENDS
    if not (ended or name in (events.FILE_STARTED, events.FILE_PROGRESS)) or not isinstance(data["pipeline_id"], str):
        return False
    return isinstance(data.get("file"), dict) and (not ended or isinstance(data.get("totals"), dict))
