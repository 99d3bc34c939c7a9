"""The queue of published events that are not in Redis yet: bounded, filled by any thread, emptied by one.

The bound is in slots. An event takes one slot for each :data:`SLOT_BYTES` of its size. So the length of a deque, which
any thread may read and change without a lock, limits both events and bytes.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterator
from itertools import chain
from operator import itemgetter

from rag_pipeline.common import native
from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.journal.weight import size_of
from rag_pipeline.status.model import FileBody, StateBody
from rag_pipeline.status.sinks import DueFlush, Published

MAX_QUEUED = 100_000
MAX_QUEUED_BYTES = 128 << 20
SLOT_BYTES = MAX_QUEUED_BYTES // MAX_QUEUED


def slots_of(event: PipelineEvent) -> int:
    """Return the slots of an event, by the size of its result or own fields; the rest is small or shared."""
    body = event.body
    if type(body) is FileBody:
        large: object = body.file.result
        if large is None:
            return 1
    elif type(body) is StateBody and event.numbered:
        large = body.own
    else:
        return 1
    return 1 + size_of(large) // SLOT_BYTES


def _slots_for(event: PipelineEvent) -> tuple[PipelineEvent | None, ...]:
    slots = slots_of(event)
    return (event,) if slots == 1 else (event, *[None] * (slots - 1))


_SECOND = itemgetter(1)


class EventQueue:
    """Drops the oldest events over ``limit`` slots; :meth:`take_gaps` returns their pipelines.

    ``parked`` is the number of slots that the reader has taken out and still keeps; they count too.
    """

    def __init__(self, signal: native.AutoResetEvent, limit: int = MAX_QUEUED) -> None:
        self.dropped = 0
        self.parked = 0
        self._signal = signal
        self._limit = limit
        self._slots: deque[PipelineEvent | None] = deque()  # an event, then None for each of its further slots
        self._requests: deque[DueFlush] = deque()
        self._releases: deque[str] = deque()
        self._gaps: set[str] = set()
        self._signalled = False
        self._closed = False

    def __len__(self) -> int:
        return sum(slot is not None for slot in self._slots.copy())

    def __bool__(self) -> bool:
        return bool(self._slots)

    def publish_all(self, items: Iterator[Published]) -> None:
        """Take the items in one C call and wake the reader; a SnapshotFor is ignored.

        An exception raised into the thread finds the iterator untouched or used up, so the caller may repeat the call.
        """
        if self._closed:
            return
        waiting = list(copy.copy(items))
        # A repeated request does no harm.
        self._requests.extend([item for item in waiting if isinstance(item, DueFlush)])
        slots = [_slots_for(item) if isinstance(item, PipelineEvent) else () for item in waiting]
        # In one call, so no other thread appends between an event and its slots.
        self._slots.extend(chain.from_iterable(map(_SECOND, zip(items, slots, strict=True))))
        while len(self._slots) + self.parked > self._limit and self._slots:
            self._drop()
        self._wake()

    def release(self, pipeline_id: str) -> None:
        """Note that the pipeline will publish nothing more."""
        if pipeline_id not in self._releases:
            self._releases.append(pipeline_id)
        self._wake()

    def rearm(self) -> None:
        """Clear the wake-up; the reader calls this, then reads the queue."""
        self._signal.clear()
        self._signalled = False

    def take(self) -> PipelineEvent | None:
        """Return the oldest event; None if there is none."""
        try:
            while (event := self._slots.popleft()) is None:
                pass
        except IndexError:
            return None
        return event

    def flush_requests(self) -> list[DueFlush]:
        """Return the requests since the last call."""
        return [self._requests.popleft() for _ in range(len(self._requests))]

    def releases(self) -> list[str]:
        """Return the pipelines released since the last call."""
        return [self._releases.popleft() for _ in range(len(self._releases))]

    def take_gaps(self) -> set[str]:
        """Return the pipelines whose numbered events were dropped since the last call."""
        return {self._gaps.pop() for _ in range(len(self._gaps))}

    @property
    def has_gaps(self) -> bool:
        """Whether :meth:`take_gaps` would return a pipeline."""
        return bool(self._gaps)

    def close(self) -> None:
        """Ignore further events."""
        self._closed = True

    def _drop(self) -> None:
        """Empty the oldest slot."""
        try:
            event = self._slots.popleft()
        except IndexError:
            return  # the reader took it meanwhile
        if event is not None:
            self.dropped += 1
            if event.numbered and event.pipeline_id is not None:
                self._gaps.add(event.pipeline_id)

    def _wake(self) -> None:
        # The reader lowers the flag before it reads, so an item appended while the flag is up is read in any case.
        if not self._signalled:
            self._signalled = True
            try:
                self._signal.signal()
            except BaseException:  # raised into this thread, perhaps before the signal
                self._signalled = False
                raise
