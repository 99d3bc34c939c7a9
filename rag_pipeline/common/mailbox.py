"""A queue from any thread to one reader.

An exception can be raised into a publishing thread at any point (KeyboardInterrupt, a soft time limit). An item is then
in the queue as a whole or not at all. A wake-up that was cut short delays the reader by a second at most, because
readers look at least once a second.
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
"""Up to this length items are not weighed: the reader nearly always keeps up, and each mutation comes through here."""
MAX_WAIT_SECONDS = 1.0
"""The longest a reader may wait before it looks again."""


class WakeUp(Protocol):
    """Wakes the reader; :class:`native.WakeUpFd` and :class:`native.AutoResetEvent` implement it."""

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
    """Decides which items may be dropped, and which item can replace the dropped ones."""

    def weigh(self, item: T) -> int:
        """Return the item's size in bytes; 0 for a control message, which is never dropped."""
        ...

    def subject(self, item: T) -> str:
        """Return the sequence that an item with a size belongs to; a drop leaves a gap in that sequence only."""
        ...

    def is_loss(self, item: T) -> bool:
        """Return whether dropping the item loses anything."""
        ...

    def after_gap(self, item: T) -> T | None:
        """Return the item marked as replacing all dropped items of its sequence; None if it can't."""
        ...


class Mailbox(Generic[T]):
    """An ordered queue that any thread fills without waiting and one thread empties.

    Many items that arrive while the reader is busy cause one wake-up.

    With a ``policy``, items are dropped and counted in :attr:`dropped` if more than ``limit`` items or ``limit_bytes``
    are waiting, because the reader is stuck. From then on all items of that sequence are dropped, until one can replace
    them. Control messages are never dropped, and nothing is without a policy. Two threads must not publish items of one
    sequence at once.

    ``fd`` is the descriptor of ``wake_up``, -1 if it has none. ``rearmed_at`` is the monotonic time of the last
    :meth:`rearm`, 0 before the first.
    """

    def __init__(
        self,
        limit: int = MAX_ITEMS,
        wake_up: WakeUp | None = None,
        *,
        policy: OverflowPolicy[T] | None = None,
        limit_bytes: int = MAX_BYTES,
    ) -> None:
        self.dropped = 0
        self.rearmed_at = 0.0
        self.size_bytes = 0  # of the waiting items; an estimate, corrected whenever the queue is empty
        self._items: deque[tuple[T, int]] = deque()
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._policy = policy
        self._weigh: Callable[[T], int] = _weigh_nothing if policy is None else policy.weigh
        self._gaps: dict[str, bool] = {}  # sequences with dropped items; whether that lost anything
        self._wake_up = native.WakeUpFd() if wake_up is None else wake_up
        self._signalled = False
        self._closed = False
        self.fd: int = getattr(self._wake_up, "fd", -1)

    def __len__(self) -> int:
        return len(self._items)

    def publish(self, item: T) -> None:
        """Append the item and wake the reader, unless a wake-up is under way."""
        items, weight = self._items, 0
        if len(items) >= FEW_ITEMS or self._gaps:
            weight = self._weigh(item)
            if weight and (self._gaps or len(items) >= self._limit or self.size_bytes + weight > self._limit_bytes):
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
        Only over the limit are items appended one by one; a lost one is a gap in any case.
        """
        waiting = self._items
        if len(waiting) < FEW_ITEMS and not self._gaps:
            waiting.extend(zip(items, repeat(0)))
        else:
            weights = [self._weigh(item) for item in copy.copy(items)]
            size = sum(weights)
            if size and (self._gaps or len(waiting) >= self._limit or self.size_bytes + size > self._limit_bytes):
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
            # Raised into this thread, perhaps before the signal. If even this line is not reached, the reader lowers
            # the flag when it looks next.
            self._signalled = False
            raise

    def _publish_or_drop(self, item: T, weight: int) -> None:
        policy = self._policy
        assert policy is not None
        subject = policy.subject(item)
        lost = self._gaps.get(subject)
        replacement = None if lost is None else policy.after_gap(item)
        full = len(self._items) >= self._limit or self.size_bytes + weight > self._limit_bytes
        published = replacement if lost else item
        if published is None or (full and self._items):
            loss = policy.is_loss(item)
            self._gaps[subject] = bool(lost) or loss
            self.dropped += loss
        else:
            self.size_bytes += weight
            self._items.append((published, weight))
            if replacement is not None:  # only now: if it did not get into the queue, the gap must stay
                self._gaps.pop(subject, None)
        if not self._signalled:
            self._wake()

    @property
    def has_gaps(self) -> bool:
        """Whether :attr:`gaps` has any."""
        return bool(self._gaps)

    @property
    def gaps(self) -> list[str]:
        """The sequences with dropped items that no item has replaced yet."""
        return list(self._gaps.copy())

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
            self.size_bytes = 0  # threads that add at once can lose a count; now the size is known
            return None
        self.size_bytes -= weight
        return item

    def take_batch(self, count: int, size_bytes: int) -> list[T]:
        """Return the oldest items: at most ``count``, and no more once they have ``size_bytes`` together."""
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
        """Release the wake-up and ignore later items; idempotent."""
        if not self._closed:
            self._closed = True
            self._items = deque(maxlen=0)
            self._wake_up.close()


def _weigh_nothing(_item: object) -> int:
    return 0
