"""Warnings that anyone on the network can cause: one line a minute, with the number of those left out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic

from rag_pipeline.common import native

INTERVAL_SECONDS = 60.0
SHOWN_CHARACTERS = 100


class ThrottledLog:
    """Logs the first warning, then at most one a minute; any thread may call it."""

    def __init__(self, logger: logging.Logger, clock: Callable[[], float] = monotonic) -> None:
        self._logger = logger
        self._clock = clock
        self._lock = native.allocate_lock()  # protects the next two
        self._due: float | None = None
        self._silent = 0

    def warn(self, message: Callable[[], str]) -> None:
        """Log the message, or only count it; ``message`` is called only if it is logged."""
        now = self._clock()
        with self._lock:
            if self._due is not None and now < self._due:
                self._silent += 1
                return
            silent, self._silent = self._silent, 0
            self._due = now + INTERVAL_SECONDS
        more = f" ({silent} more since the last such line)" if silent else ""
        self._logger.warning("%s%s", message(), more)


def quoted(text: str) -> str:
    """Return text from outside as one short quoted word for a log line."""
    return ascii(text[:SHOWN_CHARACTERS])
