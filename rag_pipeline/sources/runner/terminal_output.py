"""Prints the lines of a command in the output's encoding, and goes on if nobody can read them any more."""

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


class TerminalOutput:
    """Prints to ``stream`` (default: stdout); used by one thread.

    If the stream can't be written, it logs that once, for ``pipeline_id``, and drops everything that follows.
    """

    def __init__(self, stream: TextIO | None = None, pipeline_id: str | None = None) -> None:
        self.stream = stream or sys.stdout or io.StringIO()  # sys.stdout is None if it was closed from the start
        self.knows_unicode = (self.stream.encoding or "").lower().startswith("utf")
        self._pipeline_id = pipeline_id
        self._is_mute = False

    def print(self, text: str) -> None:
        """Print one or more lines; characters that the encoding does not have are escaped."""
        self.attempt(lambda: say_lines(text, self.stream))

    def attempt(self, write: Callable[..., object], *args: object) -> None:
        """Call ``write``, which writes to the stream, unless writing has failed before."""
        if self._is_mute:
            return
        try:
            write(*args)
        except OSError as error:
            self._mute(error)

    def _mute(self, error: OSError) -> None:
        # The reader is gone, as with `| head` or a closed terminal, or the disk is full.
        self._is_mute = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())
        about = logs.about(self._pipeline_id)
        logger.warning("the output can't be written (%s): the pipeline goes on without it", error.strerror, extra=about)
