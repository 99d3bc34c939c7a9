"""The proof that a queue moves: a mark is sent through it, and has to arrive."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from rag_pipeline.common import native


class Moves(NamedTuple):
    """What is known of a queue: ``oldest_seconds`` is how long its oldest item waits, or the mark took to arrive.

    ``stuck`` says that the mark did not arrive in time and that the reader took nothing meanwhile, ``slow`` that it
    did take something.
    """

    oldest_seconds: float
    stuck: bool = False
    slow: bool = False


class Pulse:
    """Sends marks, one at a time; for one thread at a time.

    ``send`` puts a call into the queue that the reader makes. ``progressed_at`` returns the monotonic time of the
    reader's last turn; what waits now came after it.
    """

    def __init__(self, send: Callable[[Callable[[], None]], object], progressed_at: Callable[[], float]) -> None:
        self._send = send
        self._progressed_at = progressed_at
        self._sent_at = 0.0
        self._arrived: native.Future | None = None

    def begin(self) -> None:
        """Send a mark, unless one is under way."""
        if self._arrived is not None and not self._arrived.wait(0):
            return
        self._arrived = arrived = native.Future()
        self._sent_at = time.monotonic()
        self._send(lambda: arrived.set(time.monotonic()))

    def result(self, deadline: float) -> Moves:
        """Return what is known by the deadline (monotonic); earlier if the mark arrives."""
        assert self._arrived is not None
        before = self._progressed_at()
        if self._arrived.wait(deadline - time.monotonic()):
            at = self._arrived.value
            assert isinstance(at, float)
            return Moves(at - self._sent_at)
        now, progressed = time.monotonic(), self._progressed_at()
        age = now - self._sent_at
        if progressed > before:
            return Moves(age, slow=True)
        # Stuck since its last turn began: what came right after that waits the longest.
        return Moves(max(age, now - progressed) if progressed else age, stuck=True)
