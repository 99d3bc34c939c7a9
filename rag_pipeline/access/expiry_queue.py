"""Heap of expiry times with lazy deletion."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

# The heap may hold this many deleted entries; beyond that at most half of it are deleted ones.
MAX_DELETED = 64


class ExpiryQueue(Generic[K]):
    """Keys with their expiry times, in seconds of one clock; for one thread."""

    def __init__(self) -> None:
        self._expiry: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._order = itertools.count()

    def __len__(self) -> int:
        return len(self._expiry)

    def add(self, key: K, at: float) -> None:
        """Set the expiry time of the key; replaces an earlier one."""
        self._expiry[key] = at
        heapq.heappush(self._heap, (at, next(self._order), key))
        self._compact()

    def discard(self, key: K) -> None:
        """Remove the key; an unknown one is fine."""
        if self._expiry.pop(key, None) is not None:
            self._compact()

    def due(self, now: float, limit: int) -> list[K]:
        """Remove and return at most ``limit`` expired keys, the earliest first."""
        found: list[K] = []
        while self._heap and self._heap[0][0] <= now and len(found) < limit:
            at, _, key = heapq.heappop(self._heap)
            if self._expiry.get(key) == at:
                del self._expiry[key]
                found.append(key)
        return found

    def _compact(self) -> None:
        if len(self._heap) > 2 * len(self._expiry) + MAX_DELETED:
            self._heap = [entry for entry in self._heap if self._expiry.get(entry[2]) == entry[0]]
            heapq.heapify(self._heap)
