"""Prints one pipeline to the terminal: a line for each finished file, and a live view below them.

Without a terminal, or without rich, there is no live view.
"""

from __future__ import annotations

import os
import time
from collections.abc import Container, Sequence
from contextlib import suppress
from typing import Any, TextIO

from rag_pipeline.common.printing import printable
from rag_pipeline.sources.runner.event_collector import EventCollector
from rag_pipeline.sources.runner.file_lines import (
    ASCII_MARKS,
    MARKS,
    Service,
    SkipReasons,
    address_rows,
    file_line,
    format_rows,
    summary,
)
from rag_pipeline.sources.runner.terminal_output import TerminalOutput
from rag_pipeline.status.pipeline import PipelineStatus


class Terminal:
    """Prints to ``out`` (default: stdout); used by one thread, which calls :meth:`refresh` several times a second.

    The pipeline goes on if ``out`` can't be written any more.
    """

    def __init__(self, status: PipelineStatus, out: TextIO | None = None, *, live: bool | None = None) -> None:
        self._status = status
        self._out = TerminalOutput(out, status.pipeline_id)
        self._began = time.monotonic()
        self._skipped = SkipReasons()
        self._marks = MARKS if self._out.knows_unicode else ASCII_MARKS
        is_live = self._out.stream.isatty() if live is None else live
        self._live = _open_live(status, self._out.stream) if is_live else None
        self._events = EventCollector([status])

    def start(self, service: Service, titles: Sequence[str]) -> None:
        """Print the folder and the addresses, then start the live view."""
        rows = [("Folder", printable(titles[0])), *address_rows(service)]
        if self._live is not None:
            self._out.attempt(self._live.start, rows)
        else:
            self._out.print(format_rows(rows))

    def refresh(self) -> None:
        """Print the files that have finished since the last call, and redraw the live view."""
        for event in self._events.take():
            line = file_line(event)
            if line is None:
                continue
            self._skipped.note(line)
            if self._live is not None:
                self._out.attempt(self._live.line, line, self._marks[line.kind])
            else:
                self._out.print(f"{self._marks[line.kind]} {line.name}  {line.details}")
        if self._live is not None:
            self._out.attempt(self._live.refresh)

    def say(self, text: str) -> None:
        """Print a line."""
        if self._live is not None:
            self._out.attempt(self._live.say, text)
        else:
            self._out.print(text)

    def close(self, summarized: Container[str]) -> None:
        """Print the rest, end the live view, and print a summary if the pipeline's id is in ``summarized``."""
        self._events.close()
        self.refresh()
        if self._live is not None:
            self._out.attempt(self._live.stop)
        if self._status.pipeline_id in summarized:
            self._out.print(("" if self._live is None else "\n") + summary(self._status, self._began, self._skipped))

    def restore(self) -> None:
        """Make the cursor visible again; callable from a signal handler, before a sudden end."""
        if self._live is not None:
            with suppress(OSError):
                os.write(self._out.stream.fileno(), b"\x1b[?25h\n")


def _open_live(status: PipelineStatus, out: TextIO) -> Any:
    try:
        from rag_pipeline.sources.runner.live_view import LiveView
    except ModuleNotFoundError:  # rich belongs to an extra
        return None
    return LiveView(status, out)
