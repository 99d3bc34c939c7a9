"""A client that rebuilds a pipeline's state from its events and checks their order."""

from __future__ import annotations

import copy
from collections.abc import Container
from typing import Any

from rag_pipeline.contract import events

JsonDict = dict[str, Any]

DERIVED = ("files_per_minute", "eta_seconds", "seconds_until_next_check")
"""State fields that depend on the time of the request."""
AUTOMATIC = ("initializing", "processing", "idle")
"""Status values that the service sets itself, from the work in hand."""
BESIDE_THE_STATE = ("timestamp", "offset", "recovered")
"""Keys of a ``pipeline:status`` that are not part of the state."""


class StateClient:
    """Follows one pipeline from its first ``pipeline:status`` and checks order and numbering.

    A status with a known ``seq`` only sums up: it must equal the state that the client has computed. The numbers in
    ``superseded`` may be missing: they are those of statuses, and a client that was away gets only the newest status.
    """

    def __init__(self, superseded: Container[int] = ()) -> None:
        self.state: JsonDict | None = None
        self.summaries = 0
        self.superseded = superseded
        self._waits_for_status = False

    def follow(self, name: str, payload: JsonDict) -> None:
        if self.state is None:
            assert name == events.STATUS, "the snapshot comes first"
            self.state = _state_of(payload)
            return
        assert payload["epoch"] == self.state["epoch"]
        if name == events.STATUS and payload["seq"] == self.state["seq"]:
            self.summaries += 1
            # An automatic status changes with the work, and no file event carries it.
            self.state["status"] = payload["status"]
            if self._waits_for_status:
                self.state = _state_of(payload)
                self._waits_for_status = False
            return
        missing = range(self.state["seq"] + 1, payload["seq"])
        assert payload["seq"] > self.state["seq"], "each once, in order"
        assert all(seq in self.superseded for seq in missing), "gapless"
        if name == events.STATUS:
            self.state = _state_of(payload)
            self._waits_for_status = False
            return
        if missing or self._waits_for_status:  # the newest status will carry what the superseded one said
            self._waits_for_status = True
            self.state["seq"] = payload["seq"]
            return
        self.state.update(seq=payload["seq"], last_activity=payload["timestamp"])
        self._apply(name, payload)

    def _apply(self, name: str, payload: JsonDict) -> None:
        assert self.state is not None
        file = payload["file"]
        working = self.state["files_processing"]
        if "totals" in payload:
            self.state.update(payload["totals"])
            for key in ("files_completed", "files_failed", "files_skipped"):
                self.state[key] = [f for f in self.state[key] if not _same(f, file)]
        if name == events.FILE_STARTED:
            working[:] = [f for f in working if not _same(f, file)] + [file]
        elif name == events.FILE_PROGRESS:
            working[:] = [file if _same(f, file) else f for f in working]
        else:
            if file["started_at"] is not None:
                working.remove(_started_as(working, file))
            kept = {
                events.FILE_COMPLETED: ("files_completed", 10),
                events.FILE_FAILED: ("files_failed", 5),
                events.FILE_SKIPPED: ("files_skipped", 5),
            }
            if name in kept:
                key, limit = kept[name]
                self.state[key] = [*self.state[key], file][-limit:]
        self.state["files_in_flight"] = len(working)


def without_volatile(state: JsonDict) -> JsonDict:
    """Return the state without the fields that depend on the time of the request.

    An automatic status is one of them: it changes with the work and comes with the next status, not with a file event.
    """
    return {
        key: value
        for key, value in state.items()
        if key not in DERIVED and not (key == "status" and value in AUTOMATIC)
    }


def _state_of(payload: JsonDict) -> JsonDict:
    return copy.deepcopy({key: value for key, value in payload.items() if key not in BESIDE_THE_STATE})


def _same(one: JsonDict, other: JsonDict) -> bool:
    if one["id"] is None and other["id"] is None:
        return bool(one["name"] == other["name"])
    return bool(one["id"] == other["id"])


def _started_as(working: list[JsonDict], ended: JsonDict) -> JsonDict:
    for file in working:
        if _same(file, ended):
            return file
    # It was started without an id; the event of its end carries one.
    return next(file for file in working if file["id"] is None and file["name"] == ended["name"])
