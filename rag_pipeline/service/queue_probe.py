"""Queue probes: a marker sent through a queue must arrive, or the queue's reader is stuck."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from rag_pipeline.common import native


class QueueProgress(NamedTuple):
    """State of a queue: ``oldest_seconds`` is the age of its oldest item, or the time the marker took to arrive.

    ``stuck``: the marker did not arrive in time and the reader took nothing meanwhile. ``slow``: the reader took
    something, but not the marker.
    """

    oldest_seconds: float
    stuck: bool = False
    slow: bool = False


class QueueProbe:
    """Sends one marker at a time. One thread at a time may use it.

    ``send`` puts a function into the queue, which the reader calls. ``progressed_at`` returns the monotonic time of the
    reader's last turn; everything that waits now came after it.
    """

    def __init__(self, send: Callable[[Callable[[], None]], object], progressed_at: Callable[[], float]) -> None:
        self._send = send
        self._progressed_at = progressed_at
        self._sent_at = 0.0
        self._arrived: native.Future | None = None

    def begin(self) -> None:
        """Send a marker, unless one is still on its way."""
        if self._arrived is not None and not self._arrived.wait(0):
            return
        self._arrived = arrived = native.Future()
        self._sent_at = time.monotonic()
        self._send(lambda: arrived.set(time.monotonic()))

    def result(self, deadline: float) -> QueueProgress:
        """Wait for the marker, up to the deadline (monotonic); return the progress."""
        assert self._arrived is not None
        before = self._progressed_at()
        if self._arrived.wait(deadline - time.monotonic()):
            at = self._arrived.value
            assert isinstance(at, float)
            return QueueProgress(at - self._sent_at)
        now, progressed = time.monotonic(), self._progressed_at()
        age = now - self._sent_at
        if progressed > before:
            return QueueProgress(age, slow=True)
        # Stuck since the reader's last turn began: an item may have come right after that.
        return QueueProgress(max(age, now - progressed) if progressed else age, stuck=True)
