"""The picture on a terminal, drawn anew some times a second, and left connection at the end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from rag_pipeline.cli.watch.frame import Frame, draw
from rag_pipeline.cli.watch.view import Look
from rag_pipeline.client import ConnectionState, Event
from rag_pipeline.common.printing import printable

STILL_SECONDS = 0.5
"""How often a picture is drawn in which nothing moves but the times."""


class Screen:
    """Takes the whole terminal while it is shown: so it follows its size, and leaves what stood there before.

    What it draws with is beyond ASCII: it is for an output in UTF-8.
    """

    wants_events = False

    def __init__(self, out: TextIO, title: str) -> None:
        self._title = title
        self._console = Console(file=out, highlight=False, markup=False, emoji=False)
        self._spinner = Spinner("dots", style="cyan")
        self._live = Live(console=self._console, screen=True, auto_refresh=False)
        self._last = Look({}, ConnectionState.CONNECTING)
        self._drawn: object = None
        self._drawn_at = 0.0

    def begin(self) -> None:
        """Take the terminal."""
        self._live.start()

    def show(self, look: Look, new: Sequence[Event]) -> None:  # noqa: ARG002 - the picture has them in it
        """Draw the picture."""
        self._last = look
        seen = (
            look.connection,
            str(look.error),
            self._console.size,
            [(key, state["seq"]) for key, state in look.states.items()],
        )
        moving = any(state["files_in_flight"] for state in look.states.values())
        now = time.monotonic()
        if moving or seen != self._drawn or now - self._drawn_at >= STILL_SECONDS:
            self._drawn, self._drawn_at = seen, now
            self._live.update(draw(look, self._frame(self._console.height)), refresh=True)

    def missed(self, reason: str) -> None:
        """Nothing is missed: no events are shown."""

    def end(self, summary: str | None) -> None:
        """Give the terminal back, and print the last picture into it."""
        self._live.stop()
        self._console.print(draw(self._last, self._frame(self._console.height - 2)))
        if summary is not None:
            self._console.print(Text(printable(summary)))

    def _frame(self, height: int) -> Frame:
        return Frame(self._title, height, time.time(), self._spinner)
