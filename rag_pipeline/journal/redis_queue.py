"""What pipelines have published and Redis does not have yet: bounded, filled by any thread, emptied by one."""

from __future__ import annotations

from collections import deque

from rag_pipeline import native
from rag_pipeline.events import Event
from rag_pipeline.status import FlushRequest

MAX_QUEUED = 100_000


class EventQueue:
    """Over ``limit`` events the oldest go; :meth:`torn` says of which pipelines."""

    def __init__(self, signal: native.Signal, limit: int = MAX_QUEUED) -> None:
        self.dropped = 0
        self._signal = signal
        self._limit = limit
        self._events: deque[Event] = deque()
        self._requests: deque[FlushRequest] = deque()
        self._releases: deque[str] = deque()
        self._torn: set[str] = set()
        self._signalled = False
        self._closed = False

    def __len__(self) -> int:
        return len(self._events)

    def publish(self, item: Event | FlushRequest) -> None:
        """Take the item and wake the reader; never waits and keeps the GIL."""
        if self._closed:
            return
        if isinstance(item, FlushRequest):
            self._requests.append(item)
        else:
            self._events.append(item)
            if len(self._events) > self._limit:
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
            return self._events.popleft()
        except IndexError:
            return None

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
        event = self.take()  # the reader may have taken it just now
        if event is not None:
            self.dropped += 1
            if event.numbered and event.pipeline_id is not None:
                self._torn.add(event.pipeline_id)

    def _wake(self) -> None:
        # The reader lowers the flag before it reads, so what is appended while the flag is up is read in any case.
        if not self._signalled:
            self._signalled = True
            self._signal.signal()
