"""How long to wait before each further attempt."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Delays that double up to a limit, each shortened at random by up to a half.

    So clients that lost their service at the same moment do not all come back at the same moment.
    """

    def __init__(self, first_seconds: float, limit_seconds: float, chance: Callable[[], float] = random.random) -> None:
        self._first = min(first_seconds, limit_seconds)
        self._limit = limit_seconds
        self._chance = chance
        self._next = self._first

    def delay(self) -> float:
        """Return the seconds to wait now; the next delay is twice as long."""
        delay, self._next = self._next, min(2 * self._next, self._limit)
        return delay * (1 - self._chance() / 2)

    def reset(self) -> None:
        """Start over with the first delay."""
        self._next = self._first
