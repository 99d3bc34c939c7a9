"""A live view on the terminal, redrawn several times a second; the last frame stays at the end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from rag_pipeline.cli.watch.drawing import DrawContext, draw
from rag_pipeline.cli.watch.output import WatchFrame
from rag_pipeline.client import ConnectionState, Event
from rag_pipeline.common.printing import printable

IDLE_REDRAW_SECONDS = 0.5
"""Seconds between two frames while only the times change."""


class Screen:
    """Draws on the terminal's alternate screen, so it follows the terminal's size and keeps the scrollback.

    Needs an output in UTF-8.
    """

    wants_events = False

    def __init__(self, out: TextIO, title: str) -> None:
        self._title = title
        self._console = Console(file=out, highlight=False, markup=False, emoji=False)
        self._spinner = Spinner("dots", style="cyan")
        self._live = Live(console=self._console, screen=True, auto_refresh=False)
        self._last = WatchFrame({}, ConnectionState.CONNECTING)
        self._drawn: object = None
        self._drawn_at = 0.0

    def begin(self) -> None:
        """Switch to the alternate screen."""
        self._live.start()

    def show(self, frame: WatchFrame, new: Sequence[Event]) -> None:  # noqa: ARG002 - the states include them
        """Draw the frame if anything has changed."""
        self._last = frame
        content = (
            frame.connection,
            str(frame.error),
            frame.notice,
            self._console.size,
            [(key, state["seq"]) for key, state in frame.states.items()],
        )
        is_moving = any(state["files_in_flight"] for state in frame.states.values())
        now = time.monotonic()
        if is_moving or content != self._drawn or now - self._drawn_at >= IDLE_REDRAW_SECONDS:
            self._drawn, self._drawn_at = content, now
            self._live.update(draw(frame, self._context(self._console.height)), refresh=True)

    def missed(self, reason: str) -> None:
        """Do nothing: this output shows no events."""

    def end(self, summary: str | None) -> None:
        """Leave the alternate screen and print the last frame."""
        self._live.stop()
        self._console.print(draw(self._last, self._context(self._console.height - 2)))
        if summary is not None:
            self._console.print(Text(printable(summary)))

    def _context(self, height: int) -> DrawContext:
        return DrawContext(self._title, height, time.time(), self._spinner)
