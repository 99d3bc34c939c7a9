"""The hand-over from any thread to one other: append and wake, nothing else.

Exceptions can be raised into the publishing thread at any point (KeyboardInterrupt, a soft time limit). An item is
whole in the queue or not there at all, and a wake-up that was cut short costs at most the reader's next look, a second
later: readers look at least once a second, whatever was signalled.
"""

from __future__ import annotations

import copy
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Generic, Protocol, TypeVar

from rag_pipeline.common import native

T = TypeVar("T")

MAX_ITEMS = 200_000
MAX_BYTES = 64 << 20
FEW_ITEMS = 128
"""Up to here items are not weighed: nearly always the reader keeps up, and this is the hot path of each mutation."""
LOOK_SECONDS = 1.0
"""The longest a reader may wait before it looks again."""


class WakeUp(Protocol):
    """Wakes the reader; see :class:`~rag_pipeline.common.native.WakeUpFd` and :class:`~rag_pipeline.common.native.AutoResetEvent`."""

    def signal(self) -> None:
        """Wake the reader; never waits and keeps the GIL."""
        ...

    def clear(self) -> None:
        """Take back all signals so far."""
        ...

    def close(self) -> None:
        """Release it; later signals do nothing."""
        ...


class OverflowPolicy(Protocol[T]):
    """Says which items may be dropped, and which item can stand for those that were."""

    def weigh(self, item: T) -> int:
        """Return the item's size in bytes; 0 for a control message, which is never dropped."""
        ...

    def subject(self, item: T) -> str:
        """Return the sequence an item with a size belongs to; what is dropped leaves a gap in that one alone."""
        ...

    def is_loss(self, item: T) -> bool:
        """Return whether anything is lost when the item is dropped."""
        ...

    def after_gap(self, item: T) -> T | None:
        """Return the item marked as standing for all that was dropped of its sequence; None if it can't."""
        ...


class Mailbox(Generic[T]):
    """An ordered queue that any thread fills without waiting and one thread empties.

    A thousand items that come while the reader is busy make one wake-up. ``bound`` tells events from control messages.
    Over ``limit`` items or ``limit_bytes`` (the reader is stuck) events are dropped, and counted in :attr:`dropped`:
    then all of that sequence, up to the first that can stand for them. Without a bound nothing is dropped. Items of one
    sequence must not be published by two threads at once. ``wake_up`` is a descriptor, ``fd``, unless the reader waits
    otherwise. ``rearmed_at`` is the monotonic time of the reader's last turn, 0 before the first.
    """

    def __init__(
        self,
        limit: int = MAX_ITEMS,
        wake_up: WakeUp | None = None,
        *,
        bound: OverflowPolicy[T] | None = None,
        limit_bytes: int = MAX_BYTES,
    ) -> None:
        self.dropped = 0
        self.rearmed_at = 0.0
        self.size_bytes = 0  # what waits; an estimate, which is put right whenever the queue is empty
        self._items: deque[tuple[T, int]] = deque()
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._bound = bound
        self._weigh: Callable[[T], int] = _nothing if bound is None else bound.weigh
        self._torn: dict[str, bool] = {}  # sequences that something was dropped of; whether it is lost
        self._wake_up = native.WakeUpFd() if wake_up is None else wake_up
        self._signalled = False
        self._closed = False
        self.fd: int = getattr(self._wake_up, "fd", -1)

    def __len__(self) -> int:
        return len(self._items)

    def publish(self, item: T) -> None:
        """Append the item and wake the reader, unless a wake-up is under way."""
        items, weight = self._items, 0
        if len(items) >= FEW_ITEMS or self._torn:
            weight = self._weigh(item)
            if weight and (self._torn or len(items) >= self._limit or self.size_bytes + weight > self._limit_bytes):
                self._publish_or_drop(item, weight)
                return
            self.size_bytes += weight
        items.append((item, weight))
        # The reader lowers the flag before it reads, so an item appended while the flag is up is read in any case.
        if not self._signalled:
            self._wake()

    def publish_all(self, items: Iterator[T]) -> None:
        """Append the items in one C call and wake the reader.

        An exception raised into the thread finds the iterator untouched or used up, so the caller may repeat the call.
        Only over the bound items go one by one, where what is lost is told as a gap in any case.
        """
        waiting = self._items
        if len(waiting) < FEW_ITEMS and not self._torn:
            waiting.extend(zip(items, repeat(0)))
        else:
            weights = [self._weigh(item) for item in copy.copy(items)]
            size = sum(weights)
            if size and (self._torn or len(waiting) >= self._limit or self.size_bytes + size > self._limit_bytes):
                for item in items:
                    self.publish(item)
                return
            self.size_bytes += size
            waiting.extend(zip(items, weights, strict=True))
        if not self._signalled:
            self._wake()

    def _wake(self) -> None:
        self._signalled = True
        try:
            self._wake_up.signal()
        except BaseException:
            # Raised into this thread, perhaps ahead of the signal. Where even this line is not reached, the reader's
            # next look lowers the flag.
            self._signalled = False
            raise

    def _publish_or_drop(self, item: T, weight: int) -> None:
        bound = self._bound
        assert bound is not None
        subject = bound.subject(item)
        lost = self._torn.get(subject)
        standing = None if lost is None else bound.after_gap(item)
        full = len(self._items) >= self._limit or self.size_bytes + weight > self._limit_bytes
        shown = standing if lost else item
        if shown is None or (full and self._items):
            loss = bound.is_loss(item)
            self._torn[subject] = bool(lost) or loss
            self.dropped += loss
        else:
            self.size_bytes += weight
            self._items.append((shown, weight))
            if standing is not None:  # only now: should it not have got into the queue, the gap is still to be told
                self._torn.pop(subject, None)
        if not self._signalled:
            self._wake()

    @property
    def is_torn(self) -> bool:
        """Whether :attr:`torn` has any."""
        return bool(self._torn)

    @property
    def torn(self) -> list[str]:
        """The sequences of which items were dropped, and that nothing stands for yet."""
        return list(self._torn.copy())

    def rearm(self) -> None:
        """Take back the wake-up; the reader calls this, then reads until :meth:`take` returns None."""
        self.rearmed_at = time.monotonic()
        self._wake_up.clear()
        self._signalled = False

    def take(self) -> T | None:
        """Return the oldest item, None if there is none."""
        try:
            item, weight = self._items.popleft()
        except IndexError:
            self.size_bytes = 0  # threads that add at once can lose a count: here it is known
            return None
        self.size_bytes -= weight
        return item

    def take_batch(self, count: int, size_bytes: int) -> list[T]:
        """Return the oldest items: at most ``count``, and none after those that have ``size_bytes`` together."""
        items: list[T] = []
        while len(items) < count and size_bytes > 0:
            try:
                item, weight = self._items.popleft()
            except IndexError:
                self.size_bytes = 0
                break
            self.size_bytes -= weight
            size_bytes -= weight or self._weigh(item)
            items.append(item)
        return items

    def close(self) -> None:
        """Release the wake-up; whoever publishes later is ignored."""
        if not self._closed:
            self._closed = True
            self._items = deque(maxlen=0)
            self._wake_up.close()


def _nothing(_item: object) -> int:
    return 0
