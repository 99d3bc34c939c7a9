"""What pipelines have published and Redis does not have yet: bounded, filled by any thread, emptied by one.

The bound is in slots. An event takes one for each :data:`SLOT_BYTES` that it holds, so that the length of a deque,
which any thread may read and change without a lock, bounds the events and the bytes.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterator
from itertools import chain
from operator import itemgetter

from rag_pipeline.common import native
from rag_pipeline.contract.events import Event
from rag_pipeline.status import FlushRequest, Published
from rag_pipeline.status.model import FileBody, StateBody

MAX_QUEUED = 100_000
MAX_QUEUED_BYTES = 128 << 20
SLOT_BYTES = MAX_QUEUED_BYTES // MAX_QUEUED


def slots_of(event: Event) -> int:
    """Return how many slots an event takes: by its result or its own fields, the rest being small or shared."""
    body = event.body
    if type(body) is FileBody:
        large: object = body.file.result
        if large is None:
            return 1
    elif type(body) is StateBody and event.numbered:
        large = body.own
    else:
        return 1
    return 1 + _size(large) // SLOT_BYTES


def _size(value: object) -> int:
    """Return about how many bytes a value of JSON takes."""
    if isinstance(value, str):
        return len(value)
    size = 8
    if isinstance(value, dict):
        for key, item in value.items():
            size += len(key) + (len(item) if type(item) is str else 8 if type(item) is int else _size(item))
    elif isinstance(value, list):
        for item in value:
            size += _size(item)
    return size


def _slots_for(event: Event) -> tuple[Event | None, ...]:
    slots = slots_of(event)
    return (event,) if slots == 1 else (event, *[None] * (slots - 1))


_SECOND = itemgetter(1)


class EventQueue:
    """Over ``limit`` slots the oldest events go; :meth:`torn` says of which pipelines.

    ``parked`` is how many slots the reader has taken out and still keeps: they count too.
    """

    def __init__(self, signal: native.AutoResetEvent, limit: int = MAX_QUEUED) -> None:
        self.dropped = 0
        self.parked = 0
        self._signal = signal
        self._limit = limit
        self._slots: deque[Event | None] = deque()  # an event, then None for each further slot that it takes
        self._requests: deque[FlushRequest] = deque()
        self._releases: deque[str] = deque()
        self._torn: set[str] = set()
        self._signalled = False
        self._closed = False

    def __len__(self) -> int:
        return sum(slot is not None for slot in self._slots.copy())

    def __bool__(self) -> bool:
        return bool(self._slots)

    def publish(self, item: Event | FlushRequest) -> None:
        """Take the item and wake the reader; never waits and keeps the GIL."""
        self.publish_all(iter((item,)))

    def publish_all(self, items: Iterator[Published]) -> None:
        """Take the items in one C call and wake the reader; what is for one receiver alone is ignored.

        An exception raised into the thread finds the iterator untouched or used up, so the caller may repeat the call.
        """
        if self._closed:
            return
        waiting = list(copy.copy(items))
        # A request that is made twice does no harm.
        self._requests.extend([item for item in waiting if isinstance(item, FlushRequest)])
        slots = [_slots_for(item) if isinstance(item, Event) else () for item in waiting]
        # An event and its slots go in one piece: others append too.
        self._slots.extend(chain.from_iterable(map(_SECOND, zip(items, slots, strict=True))))
        while len(self._slots) + self.parked > self._limit and self._slots:
            self._drop()
        self._wake()

    def release(self, pipeline_id: str) -> None:
        """Note that nothing more will come of the pipeline."""
        if pipeline_id not in self._releases:
            self._releases.append(pipeline_id)
        self._wake()

    def rearm(self) -> None:
        """Take back the wake-up; the reader calls this, then reads what is there."""
        self._signal.clear()
        self._signalled = False

    def take(self) -> Event | None:
        """Return the oldest event, None if there is none."""
        try:
            while (event := self._slots.popleft()) is None:
                pass
        except IndexError:
            return None
        return event

    def flush_requests(self) -> list[FlushRequest]:
        """Return the requests that came since the last call."""
        return [self._requests.popleft() for _ in range(len(self._requests))]

    def releases(self) -> list[str]:
        """Return the pipelines that were released since the last call."""
        return [self._releases.popleft() for _ in range(len(self._releases))]

    def torn(self) -> set[str]:
        """Return the pipelines of which numbered events were dropped since the last call."""
        return {self._torn.pop() for _ in range(len(self._torn))}

    @property
    def is_torn(self) -> bool:
        """Whether :meth:`torn` would return any."""
        return bool(self._torn)

    def close(self) -> None:
        """Take nothing more."""
        self._closed = True

    def _drop(self) -> None:
        """Empty the oldest slot."""
        try:
            event = self._slots.popleft()
        except IndexError:
            return  # the reader has taken it just now
        if event is not None:
            self.dropped += 1
            if event.numbered and event.pipeline_id is not None:
                self._torn.add(event.pipeline_id)

    def _wake(self) -> None:
        # The reader lowers the flag before it reads, so what is appended while the flag is up is read in any case.
        if not self._signalled:
            self._signalled = True
            try:
                self._signal.signal()
            except BaseException:  # raised into this thread, perhaps ahead of the signal
                self._signalled = False
                raise
