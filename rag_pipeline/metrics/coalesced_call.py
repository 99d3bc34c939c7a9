"""Coalesced calls to the hub's thread: simultaneous callers share one call and wait a bounded time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, TypeVar, cast

from rag_pipeline.common import native

T = TypeVar("T")

TIMEOUT_SECONDS = 2.0
REUSE_SECONDS = 0.25
LOST_SECONDS = 10.0
"""When a call that got no result is made again: a mailbox that overflowed may have lost it."""


class CoalescedCall(Generic[T]):
    """Calls ``read`` on another thread by way of ``post``, and returns its result; any thread may use it.

    Simultaneous callers share one result, and a stuck thread is called once: a flood of scrapes is not passed on to it.
    """

    def __init__(
        self,
        post: Callable[[Callable[[], None]], None],
        read: Callable[[], T],
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._post = post
        self._read = read
        self._timeout = timeout_seconds
        self._lock = native.allocate_lock()  # protects the two below
        self._result = native.Future()
        self._called_at = -LOST_SECONDS

    def result(self) -> T | None:
        """Return the result; None if there is none within the timeout."""
        result = self._pending()
        return cast(T, result.value) if result.wait(self._timeout) else None

    def _pending(self) -> native.Future:
        with self._lock:
            now = time.monotonic()
            if now - self._called_at >= (REUSE_SECONDS if self._result.wait(0) else LOST_SECONDS):
                self._called_at = now
                self._result = result = native.Future()
                self._post(lambda: result.set(self._read()))
            return self._result
