"""Limits the CPU time of responses, so that a flood of requests leaves the pipeline its share.

Each thread that computes makes the pipeline's threads wait for the GIL. A limit on requests or threads would not help:
only the total CPU time counts.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

MOST_COUNTED_SECONDS = 0.01


class CpuBudget:
    """A token bucket of CPU seconds: it fills by ``share`` a second up to ``burst_seconds``. One thread owns it.

    A response counts for 10 ms at most. Longer ones are usually in SQLite, which releases the GIL. Searches have a
    limit of their own, and must not use up the budget that ``/health`` needs.
    """

    def __init__(self, share: float, burst_seconds: float, clock: Callable[[], float] = monotonic) -> None:
        self._share = share
        self._burst = burst_seconds
        self._clock = clock
        self._left = burst_seconds
        self._at = clock()

    def spend(self, seconds: float) -> None:
        """Charge the CPU time of a response."""
        self._left = self._refilled() - min(seconds, MOST_COUNTED_SECONDS)

    def has_left(self) -> bool:
        """Return whether another response may start."""
        return self._refilled() > 0

    def _refilled(self) -> float:
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._share)
        self._at = now
        return self._left
