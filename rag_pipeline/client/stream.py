"""Events, one after the other, for one reader."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import NoReturn, Self

from rag_pipeline.client.following import Event
from rag_pipeline.errors import SlowConsumerError, WaitTimeoutError


class EventStream(Iterator[Event]):
    """Every event from the moment it was made, in order, each once; for one reader, on any thread.

    It ends when the client is closed. Raises WaitTimeoutError when nothing comes for ``timeout_seconds``, after which
    it can be read on; AccessDeniedError when the service refuses the client; SlowConsumerError, after what was kept,
    when more than ``limit`` events wait to be read: then the stream is over, and a new one goes on with what is new.
    """

    def __init__(self, changed: threading.Condition, limit: int, timeout_seconds: float | None) -> None:
        self._changed = changed  # the client's: protects all below
        self._limit = limit
        self._timeout = timeout_seconds
        self._waiting: deque[Event] = deque()
        self._open = True
        self._error: Exception | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        deadline = None if self._timeout is None else time.monotonic() + self._timeout
        with self._changed:
            while not self._waiting:
                if not self._open:
                    self._end()
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    raise WaitTimeoutError(f"no event came within {self._timeout:g} seconds")
                self._changed.wait(left)
            return self._waiting.popleft()

    def pending(self) -> list[Event]:
        """Return what waits to be read, without waiting for more; raises as iteration does once nothing can come."""
        with self._changed:
            if not self._waiting and not self._open and self._error is not None:
                raise self._error
            found = list(self._waiting)
            self._waiting.clear()
            return found

    def close(self) -> None:
        """Take no more events; idempotent."""
        with self._changed:
            self._open = False
            self._waiting.clear()
            self._changed.notify_all()

    # -- for the client, which holds the lock ----------------------------------------------------------------------

    def put(self, event: Event) -> None:
        """Add an event."""
        if not self._open:
            return
        if len(self._waiting) >= self._limit:
            self.end(SlowConsumerError(f"over {self._limit} events wait to be read: those that follow were left out"))
        else:
            self._waiting.append(event)

    def end(self, error: Exception | None) -> None:
        """Let it end after what waits, with the error if there is one."""
        if self._open:
            self._open, self._error = False, error

    def _end(self) -> NoReturn:
        if self._error is not None:
            raise self._error
        raise StopIteration
