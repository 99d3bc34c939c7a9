"""Where commands print: lines in the output's own encoding, and no error when nobody can read them any more."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Callable
from typing import TextIO

from rag_pipeline.common import logs
from rag_pipeline.common.printing import say_lines

logger = logging.getLogger(__name__)


class Output:
    """Prints to ``stream`` (default: stdout); used by one thread.

    Where it can't be written (any more) it says so once, in the log, and passes over all that follows. ``pipeline_id``
    is whom that line is about.
    """

    def __init__(self, stream: TextIO | None = None, pipeline_id: str | None = None) -> None:
        self.stream = stream or sys.stdout or io.StringIO()  # Python has no stdout where it was closed from the start
        self.knows_unicode = (self.stream.encoding or "").lower().startswith("utf")
        self._pipeline_id = pipeline_id
        self._mute = False

    def print(self, text: str) -> None:
        """Print a line, or several that were put together here; what its encoding does not know is escaped."""
        self.attempt(lambda: say_lines(text, self.stream))

    def attempt(self, write: Callable[..., object], *what: object) -> None:
        """Do something that writes to the stream."""
        if self._mute:
            return
        try:
            write(*what)
        except OSError as error:
            self._go_mute(error)

    def _go_mute(self, error: OSError) -> None:
        # Whoever read the lines has gone, as with `| head` or a terminal that was closed, or their disk is full.
        self._mute = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())
        about = logs.about(self._pipeline_id)
        logger.warning("the output can't be written (%s): the pipeline goes on without it", error.strerror, extra=about)
