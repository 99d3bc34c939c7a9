"""How much of a core answers may take: whole requests, sent as fast as they can, must leave the pipeline its share.

Each thread that computes makes the pipeline's threads wait for the interpreter's lock, so a bound on requests or
threads does not help: what counts is for how much of the time anybody computes.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

MOST_COUNTED_SECONDS = 0.01


class CpuBudget:
    """A token bucket of CPU seconds: it fills by ``share`` a second up to ``burst_seconds``. One thread owns it.

    An answer counts for 10 ms at most. What takes longer is in SQLite as a rule, which holds no lock: searches have a
    bound of their own, and must not use up what ``/health`` needs.
    """

    def __init__(self, share: float, burst_seconds: float, clock: Callable[[], float] = monotonic) -> None:
        self._share = share
        self._burst = burst_seconds
        self._clock = clock
        self._left = burst_seconds
        self._at = clock()

    def spend(self, seconds: float) -> None:
        """Count the CPU time of an answer."""
        self._left = self._refilled() - min(seconds, MOST_COUNTED_SECONDS)

    def has_left(self) -> bool:
        """Return whether a further answer may begin."""
        return self._refilled() > 0

    def _refilled(self) -> float:
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._share)
        self._at = now
        return self._left
