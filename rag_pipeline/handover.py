"""The hand-over from any thread to one other: append and wake, nothing else."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from rag_pipeline import native

T = TypeVar("T")

MAX_ITEMS = 200_000


class WakeUp(Protocol):
    """Wakes the reader; see :class:`~rag_pipeline.native.WakeUp` and :class:`~rag_pipeline.native.Signal`."""

    def signal(self) -> None:
        """Wake the reader; never waits and keeps the GIL."""
        ...

    def clear(self) -> None:
        """Take back all signals so far."""
        ...

    def close(self) -> None:
        """Release it; later signals do nothing."""
        ...


class Handover(Generic[T]):
    """An ordered queue that any thread fills without waiting and one thread empties.

    A thousand items that come while the reader is busy make one wake-up. Over ``limit`` items (the reader is stuck)
    further ones are dropped and :attr:`overflowed` is set: the reader must then start its subscribers afresh.
    ``wake_up`` is a descriptor, ``fd``, unless the reader waits otherwise. ``rearmed_at`` is the monotonic time of the
    reader's last turn, 0 before the first.
    """

    def __init__(self, limit: int = MAX_ITEMS, wake_up: WakeUp | None = None) -> None:
        self.overflowed = False
        self.rearmed_at = 0.0
        self._items: deque[T] = deque()
        self._limit = limit
        self._wake_up = native.WakeUp() if wake_up is None else wake_up
        self._signalled = False
        self._closed = False
        self.fd: int = getattr(self._wake_up, "fd", -1)

    def __len__(self) -> int:
        return len(self._items)

    def publish(self, item: T) -> None:
        """Append the item and wake the reader, unless a wake-up is under way."""
        if len(self._items) >= self._limit:
            self.overflowed = True
            return
        self._items.append(item)
        # The reader lowers the flag before it reads, so an item appended while the flag is up is read in any case.
        if not self._signalled and not self._closed:
            self._signalled = True
            self._wake_up.signal()

    def publish_all(self, items: Iterator[T]) -> None:
        """Append the items in one C call and wake the reader; see :meth:`publish`.

        An exception raised into the thread finds the iterator untouched or used up, so the caller may repeat the call.
        """
        if len(self._items) >= self._limit:
            self.overflowed = True
            return
        self._items.extend(items)
        if not self._signalled and not self._closed:
            self._signalled = True
            self._wake_up.signal()

    def rearm(self) -> None:
        """Take back the wake-up; the reader calls this, then reads until :meth:`take` returns None."""
        self.rearmed_at = time.monotonic()
        self._wake_up.clear()
        self._signalled = False

    def take(self) -> T | None:
        """Return the oldest item, None if there is none."""
        try:
            return self._items.popleft()
        except IndexError:
            return None

    def close(self) -> None:
        """Release the wake-up; whoever publishes later is ignored."""
        if not self._closed:
            self._closed = True
            self._limit = 0
            self._items.clear()
            self._wake_up.close()
