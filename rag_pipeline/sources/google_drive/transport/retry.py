"""Retries with exponential backoff, and a rate limit shared by all threads.

Nothing here knows HTTP. An attempt that may succeed later raises :class:`TryAgain`. :meth:`RetryLoop.run` then makes
the next attempt, or gives up with a :class:`DriveUnavailableError`.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from rag_pipeline.common.backoff import Backoff, parse_retry_after
from rag_pipeline.ingest.types import Stopped
from rag_pipeline.sources.google_drive.errors import DriveUnavailableError
from rag_pipeline.sources.source import Check

_T = TypeVar("_T")
CHECK_SECONDS = 0.2
"""The longest a thread waits between two calls of its check."""
_SPREAD_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a request is retried: full jitter up to ``base * 2**attempt``, capped, and at least ``Retry-After``.

    attempts: of one request, the first included, without any progress in between.
    server_attempts: the same for failures of Drive itself (5xx).
    total_seconds: from the first attempt on; no wait starts that would end later.
    later_seconds: how long to leave Drive alone after all attempts have failed.
    daily_seconds: the same after the project's daily limit is reached.
    connect_timeout_seconds, read_timeout_seconds: of each attempt; the second limits each stretch without a byte.
    answer_seconds: of each attempt, until the whole answer has arrived or a file's content begins.
    """

    attempts: int = 8
    server_attempts: int = 8
    base_seconds: float = 1.0
    cap_seconds: float = 32.0
    total_seconds: float = 300.0
    later_seconds: float = 60.0
    daily_seconds: float = 3600.0
    connect_timeout_seconds: float = 10.0
    read_timeout_seconds: float = 30.0
    answer_seconds: float = 60.0

    @property
    def timeout(self) -> tuple[float, float]:
        """The connect and read timeouts as ``requests`` takes them."""
        return self.connect_timeout_seconds, self.read_timeout_seconds


class TryAgain(Exception):  # noqa: N818 - control flow, not an error
    """An attempt failed, and another may succeed.

    retry_after: the answer's ``Retry-After`` header.
    slow_down: a rate limit, which all threads share.
    server_failed: the server itself failed, as with a 5xx.
    final: what to raise after the last attempt in place of DriveUnavailableError.
    """

    def __init__(
        self,
        reason: str,
        *,
        retry_after: str | None = None,
        slow_down: bool = False,
        server_failed: bool = False,
        final: Exception | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after
        self.slow_down = slow_down
        self.server_failed = server_failed
        self.final = final


class RateGate:
    """Holds back the requests of all threads until a given moment; ``_lock`` protects that moment."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._lock = threading.Lock()
        self._not_before = 0.0

    def slow_down(self, seconds: float) -> None:
        """Hold back all requests for so long from now."""
        with self._lock:
            self._not_before = max(self._not_before, time.monotonic() + seconds)

    def wait(self, check: Check) -> None:
        """Wait until requests may be sent; raises Stopped, and what ``check`` raises."""
        while True:
            with self._lock:
                remaining = self._not_before - time.monotonic()
            if remaining <= 0:
                break
            # Spread the threads: all at the same moment would hit the limit again.
            self.sleep(remaining + random.uniform(0.0, min(_SPREAD_SECONDS, remaining)), check)
        if self._stop.is_set():
            raise Stopped

    def sleep(self, seconds: float, check: Check) -> None:
        """Sleep; raises Stopped at once on a stop, and soon what ``check`` raises."""
        ends = time.monotonic() + seconds
        while True:
            remaining = ends - time.monotonic()
            if self._stop.wait(min(remaining, CHECK_SECONDS)):
                raise Stopped
            if remaining <= CHECK_SECONDS:
                return
            check()


class RetryLoop:
    """Makes the attempts at one request; ``check`` raises to end a wait between two attempts."""

    def __init__(self, policy: RetryPolicy, rate_gate: RateGate, subject: str, check: Check) -> None:
        self._policy = policy
        self._rate_gate = rate_gate
        self._subject = subject
        self._check = check
        self._backoff = Backoff(policy.base_seconds, policy.cap_seconds, jitter=1.0)
        self.reset()

    def reset(self) -> None:
        """Count attempts and time anew, after progress: a large download may break off any number of times."""
        self._failures = 0
        self._started_at = time.monotonic()
        self._backoff.reset()

    def run(self, attempt: Callable[[], _T]) -> _T:
        """Return the result of the first attempt that succeeds; raises DriveUnavailableError or Stopped."""
        while True:
            self._rate_gate.wait(self._check)
            try:
                return attempt()
            except TryAgain as failure:
                self.wait_after(failure)

    def wait_after(self, failure: TryAgain) -> None:
        """Wait before the next attempt; raises DriveUnavailableError if this was the last one, or Stopped."""
        policy = self._policy
        delay = self._backoff.delay(failure.retry_after)
        # The other threads must slow down even if this request is given up.
        if failure.slow_down:
            self._rate_gate.slow_down(delay)
        self._failures += 1
        elapsed = time.monotonic() - self._started_at
        attempts = min(policy.attempts, policy.server_attempts) if failure.server_failed else policy.attempts
        if self._failures >= attempts or elapsed + delay > policy.total_seconds:
            if failure.final is not None:
                raise failure.final from None
            times = "once" if self._failures == 1 else f"{self._failures} times"
            later = max(policy.later_seconds, parse_retry_after(failure.retry_after) or 0.0)
            raise DriveUnavailableError(
                f"{self._subject}: {failure.reason}, {times}", later, server_failed=failure.server_failed
            ) from None
        self._rate_gate.sleep(delay, self._check)
