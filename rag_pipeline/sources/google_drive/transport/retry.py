"""Trying again what may work the next time: how often, how long apart, and all workers slower when one is told to.

Nothing here knows HTTP. An attempt that may succeed later raises :class:`TryAgain`; :meth:`RetryLoop.run` makes the
next one, or gives up with a :class:`DriveUnavailableError`.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from rag_pipeline.ingest.embed.backoff import delay_before, retry_after
from rag_pipeline.ingest.types import Stopped
from rag_pipeline.sources.google_drive.errors import DriveUnavailableError

_T = TypeVar("_T")
CHECK_SECONDS = 0.2
"""How long a wait may go on before whoever waits is asked whether to."""
_SPREAD_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How a request is tried again: full jitter up to ``base * 2**attempt``, capped, and at least ``Retry-After``.

    attempts: of one request, the first included, without any progress in between.
    server_attempts: the same, where Drive itself fails with a 5xx.
    total_seconds: from the first attempt on; no wait is begun that would end after it.
    later_seconds: how long to leave Drive alone once all attempts have failed.
    daily_seconds: the same once the project's limit for a day is used up.
    connect_timeout_seconds, read_timeout_seconds: of each attempt; the second is for each stretch without a byte.
    answer_seconds: of each attempt, until an answer is there as a whole, or a content begins.
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
        """The two timeouts, in the shape that ``requests`` takes."""
        return self.connect_timeout_seconds, self.read_timeout_seconds


class TryAgain(Exception):  # noqa: N818 - control flow, not an error
    """An attempt failed in a way that passes.

    ``why`` says how, ``header`` is the answer's Retry-After, ``slow_down`` that it was a limit, which all share, and
    ``server_failed`` that what answered is at fault, as with a 5xx. ``final`` is the error for what seldom passes: it
    is raised after the last attempt.
    """

    def __init__(
        self,
        why: str,
        *,
        header: str | None = None,
        slow_down: bool = False,
        server_failed: bool = False,
        final: Exception | None = None,
    ) -> None:
        super().__init__(why)
        self.why = why
        self.header = header
        self.slow_down = slow_down
        self.server_failed = server_failed
        self.final = final


class RateGate:
    """The moment before which no worker sends a request; ``_lock`` protects it."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._lock = threading.Lock()
        self._not_before = 0.0

    def slow_down(self, seconds: float) -> None:
        """Have everyone wait for so long from now on."""
        with self._lock:
            self._not_before = max(self._not_before, time.monotonic() + seconds)

    def wait(self, check: Callable[[], None]) -> None:
        """Wait for the moment; raises Stopped, and what ``check`` does."""
        while True:
            with self._lock:
                left = self._not_before - time.monotonic()
            if left <= 0:
                break
            # Not all at the same moment: that is what the limit was about.
            self.sleep(left + random.uniform(0.0, min(_SPREAD_SECONDS, left)), check)
        if self._stop.is_set():
            raise Stopped

    def sleep(self, seconds: float, check: Callable[[], None]) -> None:
        """Wait for so long; raises Stopped at once when asked to stop, and soon what ``check`` does."""
        ends = time.monotonic() + seconds
        while True:
            left = ends - time.monotonic()
            if self._stop.wait(min(left, CHECK_SECONDS)):
                raise Stopped
            if left <= CHECK_SECONDS:
                return
            check()


class RetryLoop:
    """The attempts at one request; :meth:`progressed` begins anew. ``check`` raises to give up waiting for the next."""

    def __init__(self, policy: RetryPolicy, pace: RateGate, what: str, check: Callable[[], None]) -> None:
        self._policy = policy
        self._pace = pace
        self._what = what
        self._check = check
        self.progressed()

    def progressed(self) -> None:
        """Count from here: a large file may break off any number of times, if there is more of it each time."""
        self._failed = 0
        self._began = time.monotonic()

    def run(self, attempt: Callable[[], _T]) -> _T:
        """Return what the attempt that succeeds returns; raises DriveUnavailableError or Stopped."""
        while True:
            self._pace.wait(self._check)
            try:
                return attempt()
            except TryAgain as failure:
                self.wait_after(failure)

    def wait_after(self, failure: TryAgain) -> None:
        """Wait as long as is due after this failure; raises DriveUnavailableError if it was the last, or Stopped."""
        policy = self._policy
        delay = delay_before(
            self._failed, failure.header, base_seconds=policy.base_seconds, cap_seconds=policy.cap_seconds
        )
        # Those who share the limit must hear of it also where this request is given up.
        if failure.slow_down:
            self._pace.slow_down(delay)
        self._failed += 1
        spent = time.monotonic() - self._began
        attempts = min(policy.attempts, policy.server_attempts) if failure.server_failed else policy.attempts
        if self._failed >= attempts or spent + delay > policy.total_seconds:
            if failure.final is not None:
                raise failure.final from None
            times = "once" if self._failed == 1 else f"{self._failed} times"
            later = max(policy.later_seconds, retry_after(failure.header) or 0.0)
            raise DriveUnavailableError(
                f"{self._what}: {failure.why}, {times}", later, server_failed=failure.server_failed
            ) from None
        self._pace.sleep(delay, self._check)
