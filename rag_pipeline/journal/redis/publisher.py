"""Publishes the pipelines of this process to Redis: a sink that never waits, and the thread that writes."""

from __future__ import annotations

import heapq
import itertools
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Self

from rag_pipeline.common import native
from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.errors import JournalError
from rag_pipeline.journal.redis.address import RedisAddress
from rag_pipeline.journal.redis.batch import MAX_EVENTS, BatchWriter
from rag_pipeline.journal.redis.claims import ClaimRequest
from rag_pipeline.journal.redis.connection import (
    TIMEOUT_SECONDS,
    RedisConnection,
    RedisUnavailableError,
    is_refusal,
)
from rag_pipeline.journal.redis.keys import DEFAULT_PREFIX, RedisKeys
from rag_pipeline.journal.redis.lease import (
    HEARTBEAT_INTERVAL_SECONDS,
    LEASE_SECONDS,
    IdentityChangedError,
    LeaseOwner,
)
from rag_pipeline.journal.redis.outage_log import OutageLog
from rag_pipeline.journal.redis.outbox import Outbox
from rag_pipeline.journal.redis.queue import MAX_QUEUED, EventQueue
from rag_pipeline.journal.redis.retry import delay_after, new_backoff
from rag_pipeline.status.sinks import DueFlush, Published

logger = logging.getLogger("rag_pipeline.journal")

STOP_SECONDS = 5.0
_TURN_SECONDS = 1.0


class RedisPublisher:
    """The sink of this process's pipelines.

    While Redis is away, up to ``limit`` slots of events wait, and ``degraded`` says why. Dropped events are replaced by
    a ``pipeline:status`` with ``gap: true``. The publisher's thread gets it from ``status_of``, which returns None for
    a pipeline that no longer exists.
    """

    def __init__(
        self,
        url: str,
        status_of: Callable[[str], PipelineEvent | None],
        *,
        outage_log: OutageLog | None = None,
        prefix: str = DEFAULT_PREFIX,
        limit: int = MAX_QUEUED,
        max_events: int = MAX_EVENTS,
        lease_seconds: float = LEASE_SECONDS,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self.degraded: str | None = None
        self._address = RedisAddress(url)
        self._outage_log = outage_log or OutageLog(self._address)
        self._keys = RedisKeys(prefix)
        self._timeout = timeout_seconds
        self._interval = min(lease_seconds / 3, HEARTBEAT_INTERVAL_SECONDS)
        self._connection = RedisConnection(self._address, timeout_seconds=timeout_seconds)
        self._owner = LeaseOwner(self._keys, lease_seconds=lease_seconds)
        self._writer = BatchWriter(self._connection, self._keys, self._owner, max_events=max_events)
        self._signal = native.AutoResetEvent()
        self._queue = EventQueue(self._signal, limit)
        # A live owner sends a heartbeat each interval.
        self._patience = 3 * self._interval
        self._outbox = Outbox(
            self._queue, self._writer, self._connection, self._owner, status_of, patience_seconds=self._patience
        )
        self._requests: deque[ClaimRequest] = deque()
        self._backoff = new_backoff()
        self._timers: list[tuple[float, int, DueFlush]] = []
        self._order = itertools.count()
        self._renew_at = 0.0
        self._retry_at = 0.0
        self._is_refused = False
        self._stop_by: float | None = None
        self._thread: native.NativeThread | None = None

    def start(self, *, connect: bool = True) -> Self:
        """Start the thread; raises JournalError if Redis is unsuitable. An unreachable Redis is retried.

        With ``connect`` False the thread connects first.
        """
        try:
            if connect:
                self._writer.adopt()
        except JournalError as error:
            if not error.retryable:
                raise
            self._failed(error)
        self._thread = native.start_thread(self._run, "rag-pipeline-redis-publisher")
        return self

    def claim(self, pipeline_ids: Iterable[str]) -> ClaimRequest:
        """Request the leases and return at once; :meth:`held` and :meth:`wait` have the answers.

        A pipeline that is not claimed here is claimed when its first event is written.
        """
        request = ClaimRequest(pipeline_ids)
        self._requests.append(request)
        self._signal.signal()
        if self._thread is None or self._thread.join(0):
            self._fail_requests(RedisUnavailableError("the publisher to Redis does not run"))
        return request

    def held(self, request: ClaimRequest) -> frozenset[str]:
        """Return which of the requested pipelines another process, dead or alive, may own; waits for one try.

        Raises JournalError if another pipeline can't be claimed; it is ``retryable`` if Redis can't be reached.
        """
        return request.wait_for_try(self._longest_try)

    def wait(self, request: ClaimRequest) -> None:
        """Wait until this process owns every requested pipeline.

        Raises JournalError that names the owner if another process publishes one; it is ``retryable`` if Redis can't be
        reached.
        """
        request.wait(self._patience + self._longest_try)

    @property
    def _longest_try(self) -> float:
        # The thread may be in the middle of a command; then it connects and claims.
        return 4 * self._timeout

    @property
    def pipeline_ids(self) -> frozenset[str]:
        """The pipelines that are claimed, refused, or can't be written."""
        outbox = self._outbox
        return frozenset().union(outbox.claimed.copy(), outbox.refused.copy(), outbox.broken.copy())

    def release(self, pipeline_id: str) -> None:
        """Give up the lease of a closed pipeline, once its events are written; never waits."""
        self._queue.release(pipeline_id)

    def publish_all(self, items: Iterator[Published]) -> None:
        """Take what a pipeline publishes; never waits, never raises."""
        self._queue.publish_all(items)

    @property
    def dropped(self) -> int:
        """The number of events dropped because too many waited."""
        return self._queue.dropped

    @property
    def queued(self) -> int:
        """The number of events that wait."""
        return len(self._queue)

    @property
    def errors(self) -> list[str]:
        """The present problems: of Redis, and of single pipelines."""
        outbox = self._outbox
        errors = [*outbox.refused.copy().values(), *outbox.broken.copy().values()]
        return errors if self.degraded is None else [self.degraded, *errors]

    def stop(self) -> bool:
        """Write what is queued, give up the leases, end the thread; return whether all was done in time. Idempotent."""
        if self._stop_by is None:
            self._stop_by = time.monotonic() + STOP_SECONDS
        self._signal.signal()
        if self._thread is None:
            self._connection.close()
            return True
        if not self._thread.join(STOP_SECONDS):
            self._connection.interrupt()  # Redis does not answer
            if not self._thread.join(1.0):
                return False
        return not self._outbox.waiting and not self._outbox.holding

    # -- the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._is_over():
            try:
                self._wait()
                self._run_timers()
                if time.monotonic() >= self._retry_at:
                    self._turn()
                elif self._requests and self.degraded is not None:
                    self._fail_requests(RedisUnavailableError(self.degraded))
            except JournalError as error:
                self._failed(error)
            except Exception:
                # A bug: what was to be written is missing now, and marked as a gap.
                logger.exception("the publisher to Redis failed")
                self._outbox.abandon()
                self._retry_at = time.monotonic() + self._backoff.delay()
        self._end()

    def _is_over(self) -> bool:
        if self._stop_by is None:
            return False
        if self._is_refused or time.monotonic() >= self._stop_by:
            return True
        return not self._outbox.waiting and not self._outbox.holding

    def _wait(self) -> None:
        now = time.monotonic()
        due = now if self._outbox.waiting else min(self._renew_at, self._outbox.due)
        # A wake-up may get lost by an exception raised into the reporting thread.
        due = min(max(self._retry_at, due), now + _TURN_SECONDS)
        if self._timers:
            due = min(due, self._timers[0][0])
        if self._stop_by is not None:
            due = min(due, self._stop_by)
        if due > now:
            self._signal.wait(due - now)
        self._queue.rearm()

    def _run_timers(self) -> None:
        for request in self._queue.flush_requests():
            heapq.heappush(self._timers, (request.due, next(self._order), request))
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2].flush()

    def _turn(self) -> None:
        """Write a batch, and renew the leases if they are due."""
        try:
            if not self._writer.identity:
                self._writer.adopt()
            while self._requests:
                self._outbox.claim(self._requests.popleft())
            more = self._outbox.send()
            if time.monotonic() >= self._renew_at:
                self._outbox.renew()
                self._renew_at = time.monotonic() + self._interval
        except IdentityChangedError:
            if not self._writer.adopt():
                logger.warning("Redis at %s was emptied; the pipelines are published again", self._address)
                self._outbox.restart()
            return
        self._recovered()
        if not more:
            self._outbox.release()

    def _failed(self, error: JournalError) -> None:
        self._outage_log.failed(self, error)
        self.degraded = str(error)
        self._is_refused = is_refusal(error)
        self._retry_at = time.monotonic() + delay_after(error, self._backoff)
        self._fail_requests(error if error.retryable else RedisUnavailableError(str(error)))

    def _fail_requests(self, error: JournalError) -> None:
        """Answer all threads that wait for claims with the error."""
        while self._requests:
            self._outbox.claim(self._requests.popleft())
        self._outbox.fail_claims(error)

    def _recovered(self) -> None:
        if self.degraded is not None:
            self._outage_log.recovered(self)
            self.degraded = None
        self._is_refused = False
        self._retry_at = 0.0
        self._backoff.reset()

    def _end(self) -> None:
        self._fail_requests(RedisUnavailableError("the publisher to Redis has ended"))
        if self._outbox.waiting or self._outbox.holding:
            logger.error("the last events were not written to Redis at %s", self._address)
        else:
            with suppress(JournalError):
                self._owner.release(self._connection, *self._outbox.claimed)
        self._queue.close()
        self._connection.close()
