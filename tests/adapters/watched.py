"""A real service and a real Socket.IO client, to see an adapter's reports as a user does."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rag_pipeline import PipelineStatus, start_status_server
from rag_pipeline.contract import events
from tests.contract.checking import check_event
from tests.support.waiting import wait_until
from tests.verify import Watcher

JsonDict = dict[str, Any]

ENDS = {
    events.FILE_COMPLETED: "completed",
    events.FILE_FAILED: "failed",
    events.FILE_SKIPPED: "skipped",
    events.FILE_DELETED: "deleted",
}
_numbers = itertools.count()


class Watched:
    """The events that one client has received from one pipeline."""

    def __init__(self, watcher: Watcher, pipeline_id: str) -> None:
        self._watcher = watcher
        self._id = pipeline_id

    @property
    def events(self) -> list[tuple[str, JsonDict]]:
        """The names of all events so far."""
        received = self._watcher.received("/pipeline")
        bodies = [(item.name, item.arguments[0]) for item in received if item.name.startswith("pipeline:")]
        for name, body in bodies:
            check_event(name, body)
        return [(name, body) for name, body in bodies if body["pipeline_id"] == self._id]

    @property
    def state(self) -> JsonDict:
        """The last status."""
        states: list[JsonDict] = [body for name, body in self.events if name == events.STATUS]
        return states[-1]

    @property
    def started(self) -> list[str]:
        """The names of the files that were started, in order."""
        return [body["file"]["name"] for name, body in self.events if name == events.FILE_STARTED]

    @property
    def ends(self) -> list[tuple[str, str]]:
        """Name and outcome of each ended file, in order."""
        return [(body["file"]["name"], ENDS[name]) for name, body in self.events if name in ENDS]

    def end(self, file: str) -> JsonDict:
        """Return the file as its last end event has it."""
        files: list[JsonDict] = [body["file"] for name, body in self.events if name in ENDS]
        return [one for one in files if one["name"] == file][-1]

    def sees_stage(self, file: str, stage: str) -> bool:
        """Return whether the client has seen the file in the stage."""
        progress = [body["file"] for name, body in self.events if name == events.FILE_PROGRESS]
        return any(one["name"] == file and one["stage"] == stage for one in progress)

    def wait_for_stage(self, file: str, stage: str) -> None:
        """Wait until the client sees the file in the stage."""
        wait_until(lambda: self.sees_stage(file, stage), f"{file} in {stage!r}")

    def wait_for(self, status: str) -> None:
        """Wait until the client has received this status, and so all earlier events."""
        wait_until(lambda: self.state["status"] == status, f"the status {status!r}")


@contextmanager
def watching(pipeline: PipelineStatus) -> Iterator[Watched]:
    """Serve the pipeline, and follow it with a client."""
    with (
        start_status_server(0, pipelines=[pipeline]) as server,
        Watcher(f"http://127.0.0.1:{server.socket_port}", ["websocket"]) as watcher,
    ):
        watched = Watched(watcher, pipeline.pipeline_id)
        wait_until(lambda: watched.events, "the first status")
        yield watched


def new_pipeline(kind: str = "pipeline") -> PipelineStatus:
    """Return a pipeline with a unique id."""
    return PipelineStatus(kind, f"adapter-test-{next(_numbers)}")
