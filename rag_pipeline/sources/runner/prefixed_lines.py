"""Prints several pipelines to the terminal: a line for each finished file, which starts with the pipeline's id."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Container, Sequence
from typing import TextIO

from rag_pipeline.common.printing import printable
from rag_pipeline.contract import events
from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.sources.runner.event_collector import EventCollector
from rag_pipeline.sources.runner.file_lines import (
    ASCII_MARKS,
    MARKS,
    FileLine,
    Service,
    SkipReasons,
    address_rows,
    file_line,
    format_rows,
    summary,
)
from rag_pipeline.sources.runner.terminal_output import TerminalOutput
from rag_pipeline.status.pipeline import PipelineStatus

MAX_ID_WIDTH = 24


class PrefixedLines:
    """Prints to ``out`` (default: stdout); used by one thread, which calls :meth:`refresh` several times a second."""

    def __init__(self, statuses: Sequence[PipelineStatus], out: TextIO | None = None) -> None:
        self._statuses = statuses
        self._out = TerminalOutput(out)
        self._marks = MARKS if self._out.knows_unicode else ASCII_MARKS
        self._began = time.monotonic()
        self._skipped: defaultdict[str, SkipReasons] = defaultdict(SkipReasons)
        self._width = min(MAX_ID_WIDTH, max(len(status.pipeline_id) for status in statuses))
        self._problems: dict[str, str] = {}  # an error or a pause by pipeline id; empty when it is over
        self._events = EventCollector(statuses)

    def start(self, service: Service, titles: Sequence[str]) -> None:
        """Print each pipeline with its folder, and the addresses."""
        for status, title in zip(self._statuses, titles, strict=True):
            self._print(status.pipeline_id, f"{status.pipeline_type:<12}  {printable(title)}")
        self._out.print(format_rows(address_rows(service)))

    def refresh(self) -> None:
        """Print what has happened since the last call."""
        for event in self._events.take():
            if event.pipeline_id is None:
                continue
            if event.name == events.STATUS:
                self._print_status(event.pipeline_id, event)
            elif (line := file_line(event)) is not None:
                self._skipped[event.pipeline_id].note(line)
                self._print_line(event.pipeline_id, line)

    def say(self, text: str) -> None:
        """Print a line without an id."""
        self._out.print(text)

    def close(self, summarized: Container[str]) -> None:
        """Print the rest, and a summary for each of these pipeline ids."""
        self._events.close()
        self.refresh()
        for status in self._statuses:
            if status.pipeline_id in summarized:
                self._print(status.pipeline_id, summary(status, self._began, self._skipped[status.pipeline_id]))

    def restore(self) -> None:
        """Do nothing: the cursor was never hidden."""

    def _print_status(self, pipeline_id: str, event: PipelineEvent) -> None:
        """Print an error or a pause once, and once that it is over."""
        state = event.payload()
        word, before = str(state["status"]), self._problems.get(pipeline_id, "")
        problem = f"error: {' '.join(str(state.get('message') or '').split())}" if word == "error" else word
        if problem == before:
            return
        if word == "error":
            self._print_line(pipeline_id, FileLine("failed", "", printable(problem)))
        elif word == "paused":
            self._print_line(pipeline_id, FileLine("skipped", "", "paused"))
        elif word in ("idle", "processing") and before:
            self._print_line(pipeline_id, FileLine("stored", "", "goes on"))
        else:
            return  # it may still be starting or scanning
        self._problems[pipeline_id] = problem if word in ("error", "paused") else ""

    def _print_line(self, pipeline_id: str, line: FileLine) -> None:
        text = f"{line.name}  {line.details}" if line.name else line.details
        self._print(pipeline_id, f"{self._marks[line.kind]} {text}")

    def _print(self, pipeline_id: str, text: str) -> None:
        self._out.print(f"{pipeline_id:<{self._width}}  {text}")
