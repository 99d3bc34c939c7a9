"""A queue of events for one reader."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import NoReturn, Self

from rag_pipeline.client.state_tracker import Event
from rag_pipeline.errors import SlowConsumerError, WaitTimeoutError


class EventStream(Iterator[Event]):
    """Iterates over every event since the stream was made, in order, each once; for one reader on any thread.

    The iteration ends when the client is closed. Raises WaitTimeoutError if no event comes for ``timeout_seconds``;
    reading may go on after that. Raises AccessDeniedError if the service refuses the client. If more than ``limit``
    events wait, those are still read, then SlowConsumerError ends the stream; a new stream starts with new events.
    """

    def __init__(self, changed: threading.Condition, limit: int, timeout_seconds: float | None) -> None:
        self._changed = changed  # the client's: protects all below
        self._limit = limit
        self._timeout = timeout_seconds
        self._events: deque[Event] = deque()
        self._open = True
        self._error: Exception | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        deadline = None if self._timeout is None else time.monotonic() + self._timeout
        with self._changed:
            while not self._events:
                if not self._open:
                    self._raise_end()
                remaining = None if deadline is None else deadline - time.monotonic()
                if remaining is not None and remaining <= 0:
                    raise WaitTimeoutError(f"no event came within {self._timeout:g} seconds")
                self._changed.wait(remaining)
            return self._events.popleft()

    def pending(self) -> list[Event]:
        """Return the waiting events without blocking; raises the error that ended the stream once they are read."""
        with self._changed:
            if not self._events and not self._open and self._error is not None:
                raise self._error
            waiting = list(self._events)
            self._events.clear()
            return waiting

    def close(self) -> None:
        """Drop the waiting events and accept no more; idempotent."""
        with self._changed:
            self._open = False
            self._events.clear()
            self._changed.notify_all()

    # -- for the client, which holds the lock ----------------------------------------------------------------------

    def put(self, event: Event) -> None:
        """Append an event; over the limit, end the stream with SlowConsumerError."""
        if not self._open:
            return
        if len(self._events) >= self._limit:
            self.end(SlowConsumerError(f"more than {self._limit} events wait to be read: the following were dropped"))
        else:
            self._events.append(event)

    def end(self, error: Exception | None) -> None:
        """End the stream after the waiting events, with the error if there is one."""
        if self._open:
            self._open, self._error = False, error

    def _raise_end(self) -> NoReturn:
        if self._error is not None:
            raise self._error
        raise StopIteration
