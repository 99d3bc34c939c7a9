"""States and events of a real pipeline, for the outputs to show."""

from __future__ import annotations

import io
import json
from typing import Any

from rag_pipeline.cli.watch.output import WatchFrame
from rag_pipeline.client import ConnectionState, Event
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from tests.support.recorder import Recorder

Json = dict[str, Any]


class Made:
    """A pipeline, and its events in the form that a client receives."""

    def __init__(self, pipeline_id: str = "papers", kind: str | None = "local_files") -> None:
        self.pipeline = PipelineStatus(kind, pipeline_id)
        self._recorder = Recorder()
        core_of(self.pipeline).attach(self._recorder)

    def events(self) -> list[Event]:
        """Return every event so far."""
        return [Event(event.name, json.loads(json.dumps(event.payload()))) for event in self._recorder.events]

    @property
    def state(self) -> Json:
        return self.pipeline.get()

    def work(self) -> None:
        """Process one file with each outcome, and leave two in flight."""
        status = self.pipeline
        status.update(status="processing", files_queued=7)
        status.add_processing_file("good.md", "1")
        status.complete_file("good.md", file_id="1", result={"chunks": 3})
        status.add_processing_file("bad\x1b[2J.docx", "2")
        status.file_progress("bad\x1b[2J.docx", "extracting", file_id="2")
        status.complete_file("bad\x1b[2J.docx", False, file_id="2", error=ValueError("it is\tcut off\nbadly"))
        status.skip_file("movie.mp4", "no reader for video/mp4", file_id="3")
        status.delete_file("old.md", file_id="4")
        status.add_processing_file("long name of a report.pdf", "5")
        status.file_progress("long name of a report.pdf", "embedding", 0.25, file_id="5")
        status.add_processing_file("second.pdf", "6")


def frame(
    *states: Json,
    connection: ConnectionState = ConnectionState.LIVE,
    error: Exception | None = None,
    notice: str = "",
) -> WatchFrame:
    """Return a frame with these states."""
    return WatchFrame({state["pipeline_id"]: state for state in states}, connection, error, notice)


class Output(io.TextIOWrapper):
    """A stream with a given encoding that keeps what is written."""

    def __init__(self, encoding: str = "utf-8", *, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(), encoding=encoding)
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    @property
    def text(self) -> str:
        self.flush()
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue().decode(self.encoding)

    @property
    def rows(self) -> list[list[str]]:
        """The columns of each line."""
        return [line.split("\t") for line in self.text.splitlines()]
