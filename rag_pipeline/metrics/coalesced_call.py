"""A question to the hub's thread, which owns what is asked for; whoever asks waits a bounded time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, TypeVar, cast

from rag_pipeline.common import native

T = TypeVar("T")

TIMEOUT_SECONDS = 2.0
KEPT_SECONDS = 0.25
PATIENCE_SECONDS = 10.0
"""When a question that is not answered is asked again: a hand-over that overflowed has lost it."""


class Question(Generic[T]):
    """Has ``read`` called by way of ``post``, and returns what it says; any thread may ask.

    Many who ask at once share one answer, and ask a stuck thread once: a flood of scrapes is not passed on to it.
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
        self._lock = native.allocate_lock()  # protects the two
        self._answer = native.Future()
        self._asked_at = -PATIENCE_SECONDS

    def ask(self) -> T | None:
        """Return the answer, None if there is none within the time."""
        answer = self._under_way()
        return cast(T, answer.value) if answer.wait(self._timeout) else None

    def _under_way(self) -> native.Future:
        with self._lock:
            now = time.monotonic()
            if now - self._asked_at >= (KEPT_SECONDS if self._answer.wait(0) else PATIENCE_SECONDS):
                self._asked_at = now
                self._answer = answer = native.Future()
                self._post(lambda: answer.set(self._read()))
            return self._answer
