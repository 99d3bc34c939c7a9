"""The publisher: a sink for pipelines that never waits, and the thread that brings to Redis what they publish."""

from __future__ import annotations

import heapq
import itertools
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Self

from rag_pipeline import native
from rag_pipeline.errors import JournalError
from rag_pipeline.events import Event
from rag_pipeline.journal.redis_address import Address
from rag_pipeline.journal.redis_batch import MAX_EVENTS, BatchWriter
from rag_pipeline.journal.redis_generations import adopt
from rag_pipeline.journal.redis_keys import DEFAULT_PREFIX, Keys
from rag_pipeline.journal.redis_lease import HEARTBEAT_INTERVAL_SECONDS, LEASE_SECONDS, Holder, IdentityChangedError
from rag_pipeline.journal.redis_link import TIMEOUT_SECONDS, Link
from rag_pipeline.journal.redis_outage import Outage
from rag_pipeline.journal.redis_outbox import Outbox
from rag_pipeline.journal.redis_pause import Pause
from rag_pipeline.journal.redis_queue import MAX_QUEUED, EventQueue
from rag_pipeline.status import FlushRequest
from rag_pipeline.status.sinks import Published

logger = logging.getLogger("rag_pipeline.journal")

STOP_SECONDS = 5.0


class RedisPublisher:
    """Publishes the pipelines of this process; :meth:`publish` is what they are attached to.

    While Redis is away at most ``limit`` events are kept, and ``degraded`` says why. Events that had to be dropped are
    replaced by one ``pipeline:status`` with ``gap: true``, for which ``status_of`` is asked on the publisher's thread;
    it returns a pipeline's status, or None if there is no such pipeline any more.
    """

    def __init__(
        self,
        url: str,
        status_of: Callable[[str], Event | None],
        *,
        outage: Outage | None = None,
        prefix: str = DEFAULT_PREFIX,
        limit: int = MAX_QUEUED,
        max_events: int = MAX_EVENTS,
        lease_seconds: float = LEASE_SECONDS,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self.degraded: str | None = None
        self._address = Address(url)
        self._outage = outage or Outage(self._address)
        self._keys = Keys(prefix)
        self._timeout = timeout_seconds
        self._interval = min(lease_seconds / 3, HEARTBEAT_INTERVAL_SECONDS)
        self._link = Link(self._address, timeout_seconds=timeout_seconds)
        self._holder = Holder(self._keys, lease_seconds=lease_seconds)
        self._writer = BatchWriter(self._link, self._keys, self._holder, max_events=max_events)
        self._signal = native.Signal()
        self._queue = EventQueue(self._signal, limit)
        self._outbox = Outbox(self._queue, self._writer, self._link, self._holder, status_of)
        self._pause = Pause()
        self._timers: list[tuple[float, int, FlushRequest]] = []
        self._order = itertools.count()
        self._renew_at = 0.0
        self._retry_at = 0.0
        self._stop_by: float | None = None
        self._thread: native.NativeThread | None = None

    def start(self) -> Self:
        """Start the thread; raises JournalError if Redis is not fit. One that can't be reached is tried again."""
        try:
            self._writer.adopt()
        except JournalError as error:
            if not error.retryable:
                raise
            self._failed(error)
        self._thread = native.start_thread(self._run, "rag-pipeline-redis-publisher")
        return self

    def claim(self, pipeline_id: str) -> None:
        """Take the pipeline's lease; waits for Redis, and to see whether another holder of it lives.

        Raises JournalError that names the holder if another process publishes the id; one that is ``retryable`` if
        Redis can't be asked. An id that is not claimed here is claimed when its first event is to be written.
        """
        link = Link(self._address, timeout_seconds=self._timeout)
        try:
            # A live holder gives a heartbeat each interval.
            patience = 3 * self._interval
            self._holder.claim(link, adopt(link, self._keys).identity, pipeline_id, patience_seconds=patience)
        finally:
            link.close()
        self._outbox.refused.pop(pipeline_id, None)
        self._outbox.claimed[pipeline_id] = None

    @property
    def pipeline_ids(self) -> frozenset[str]:
        """The pipelines that it has claimed, and those that it was refused."""
        return frozenset(self._outbox.claimed.copy()) | frozenset(self._outbox.refused.copy())

    def release(self, pipeline_id: str) -> None:
        """Give the lease up once what the pipeline published has been written: it closed in order. Never waits."""
        self._queue.release(pipeline_id)

    def publish_all(self, items: Iterator[Published]) -> None:
        """Take what a pipeline publishes; never waits, never raises."""
        for item in items:
            if isinstance(item, Event | FlushRequest):
                self._queue.publish(item)

    def health(self) -> Mapping[str, Any]:
        """Return what ``/health`` shows."""
        told = {
            "status": "ok" if self.degraded is None and not self._outbox.refused else "degraded",
            "redis": str(self._address),
            "queued": len(self._queue),
            "dropped": self._queue.dropped,
        }
        reasons = [*([] if self.degraded is None else [self.degraded]), *self._outbox.refused.copy().values()]
        return {**told, "error": "; ".join(reasons)} if reasons else told

    def stop(self) -> bool:
        """Write what is queued, give up the leases, end the thread; return whether all was done in time. Idempotent."""
        if self._stop_by is None:
            self._stop_by = time.monotonic() + STOP_SECONDS
        self._pause.end()
        self._signal.signal()
        if self._thread is None:
            self._link.close()
            return True
        if not self._thread.join(STOP_SECONDS):
            self._link.interrupt()  # Redis stands still
            if not self._thread.join(1.0):
                return False
        return not self._outbox.waiting

    # -- the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._over():
            try:
                self._wait()
                self._sort_in()
                if time.monotonic() >= self._retry_at:
                    self._turn()
            except JournalError as error:
                self._failed(error)
            except Exception:
                # A mistake of ours: what was to be written is missing now, and noticed as any gap is.
                logger.exception("the publisher to Redis failed")
                self._outbox.abandon()
                self._pause.longer()
                self._retry_at = time.monotonic() + self._pause.seconds
        self._end()

    def _over(self) -> bool:
        if self._stop_by is None:
            return False
        return not self._outbox.waiting or time.monotonic() >= self._stop_by

    def _wait(self) -> None:
        now = time.monotonic()
        due = max(self._retry_at, now if self._outbox.waiting else self._renew_at)
        if self._timers:
            due = min(due, self._timers[0][0])
        if self._stop_by is not None:
            due = min(due, self._stop_by)
        if due > now:
            self._signal.wait(due - now)
        self._queue.rearm()

    def _sort_in(self) -> None:
        for request in self._queue.flush_requests():
            heapq.heappush(self._timers, (request.due, next(self._order), request))
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2].flush()

    def _turn(self) -> None:
        """Write what there is, the leases being renewed in between."""
        try:
            if not self._writer.identity:
                self._writer.adopt()
            more = self._outbox.send()
            if time.monotonic() >= self._renew_at:
                self._outbox.renew()
                self._renew_at = time.monotonic() + self._interval
        except IdentityChangedError:
            if not self._writer.adopt():
                logger.warning("Redis at %s was emptied; the pipelines are published anew", self._address)
                self._outbox.begin_anew()
            return
        self._recovered()
        if not more:
            self._outbox.release()

    def _failed(self, error: JournalError) -> None:
        self._outage.failed(self, error)
        self.degraded = str(error)
        self._pause.longer()
        self._retry_at = time.monotonic() + self._pause.seconds

    def _recovered(self) -> None:
        if self.degraded is not None:
            self._outage.recovered(self)
            self.degraded = None
        self._retry_at = 0.0
        self._pause.reset()

    def _end(self) -> None:
        if self._outbox.waiting:
            logger.error("%d events did not get to Redis at %s", len(self._queue), self._address)
        else:
            with suppress(JournalError):
                self._holder.release(self._link, *self._outbox.claimed)
        self._queue.close()
        self._link.close()
