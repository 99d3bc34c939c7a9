"""What tests watch a pipeline with: a sink that records, and a client that rebuilds the state from events alone."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Container, Iterator
from typing import Any

from rag_pipeline.contract import events
from rag_pipeline.contract.events import Event
from rag_pipeline.status import PipelineStatus, Published, core_of

JsonDict = dict[str, Any]

DERIVED = ("files_per_minute", "eta_seconds", "seconds_until_next_check")
"""What depends on the moment of asking."""
AUTOMATIC = ("initializing", "processing", "idle")
"""The values of a status that follows the work."""
BESIDE_THE_STATE = ("timestamp", "offset", "recovered")
"""What a ``pipeline:status`` carries that is not of the state."""


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Return once the condition holds; fail after the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.002)


class Recorder:
    """A sink that keeps what is published."""

    def __init__(self) -> None:
        self.items: list[Published] = []

    def publish_all(self, items: Iterator[Published]) -> None:
        self.items.extend(items)

    @property
    def events(self) -> list[Event]:
        return [item for item in self.items if isinstance(item, Event)]

    @property
    def changes(self) -> list[Event]:
        """The events that say what changed: without each status that only sums up what came before it."""
        return [event for event in self.events if event.numbered]

    @property
    def names(self) -> list[str]:
        return [event.name for event in self.changes]

    @property
    def last(self) -> JsonDict:
        return self.changes[-1].payload()


class StatusNumbers(set[int]):
    """A sink that notes which numbers of a pipeline were those of a ``pipeline:status``."""

    def publish_all(self, items: Iterator[Published]) -> None:
        self.update(
            item.seq for item in items if isinstance(item, Event) and item.numbered and item.name == events.STATUS
        )


def status_numbers(pipeline: PipelineStatus) -> StatusNumbers:
    """Return the numbers of the pipeline's statuses from now on; it must be attached to its server already."""
    numbers = StatusNumbers()
    core_of(pipeline).attach(numbers)
    return numbers


class Client:
    """Follows one pipeline from its first ``pipeline:status`` on; checks order and numbering as it goes.

    A status that only sums up (its ``seq`` was seen) must show what the client has worked out already. Numbers may be
    missing if they are in ``superseded``, those of statuses: a client that was away gets the newest of them alone.
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
            # It follows the work where the pipeline does not set it; no file event carries it.
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
        if missing or self._waits_for_status:  # what the superseded one said comes with the newest
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
                working.remove(_begun(working, file))
            kept = {
                events.FILE_COMPLETED: ("files_completed", 10),
                events.FILE_FAILED: ("files_failed", 5),
                events.FILE_SKIPPED: ("files_skipped", 5),
            }
            if name in kept:
                key, limit = kept[name]
                self.state[key] = [*self.state[key], file][-limit:]
        self.state["files_in_flight"] = len(working)


def lasting(state: JsonDict) -> JsonDict:
    """Return the state without what depends on the moment of asking.

    That is an automatic status, too: it follows the work, and comes with the next status, not with a file's event.
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


def _begun(working: list[JsonDict], ended: JsonDict) -> JsonDict:
    for file in working:
        if _same(file, ended):
            return file
    # It was started without an id, which became known by its end.
    return next(file for file in working if file["id"] is None and file["name"] == ended["name"])


def loose(pipeline: PipelineStatus) -> Any:
    """Return the pipeline untyped: its own fields as keywords, and arguments of wrong types."""
    return pipeline
