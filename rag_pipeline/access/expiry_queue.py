"""What ends at a time: one heap for all, in which what has left early costs nothing to speak of."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

# A few that have left may stay; beyond that the heap is at most half full of them.
SPARE = 64


class Expiries(Generic[K]):
    """Keys and when each of them ends, in seconds of one clock; for one thread."""

    def __init__(self) -> None:
        self._ends: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._order = itertools.count()

    def __len__(self) -> int:
        return len(self._ends)

    def add(self, key: K, at: float) -> None:
        """Let the key end at that time, and at no other that was said before."""
        self._ends[key] = at
        heapq.heappush(self._heap, (at, next(self._order), key))
        self._tidy()

    def discard(self, key: K) -> None:
        """Forget the key; an unknown one is fine."""
        if self._ends.pop(key, None) is not None:
            self._tidy()

    def due(self, now: float, limit: int) -> list[K]:
        """Return at most ``limit`` keys whose time has come, the earliest first, and forget them."""
        found: list[K] = []
        while self._heap and self._heap[0][0] <= now and len(found) < limit:
            at, _, key = heapq.heappop(self._heap)
            if self._ends.get(key) == at:
                del self._ends[key]
                found.append(key)
        return found

    def _tidy(self) -> None:
        if len(self._heap) > 2 * len(self._ends) + SPARE:
            self._heap = [entry for entry in self._heap if self._ends.get(entry[2]) == entry[0]]
            heapq.heapify(self._heap)
