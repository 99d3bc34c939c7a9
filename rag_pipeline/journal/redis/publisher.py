"""The publisher: a sink for pipelines that never waits, and the thread that brings to Redis what they publish."""

from __future__ import annotations

import heapq
import itertools
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Self

from rag_pipeline.common import native
from rag_pipeline.contract.events import Event
from rag_pipeline.errors import JournalError
from rag_pipeline.journal.redis.address import Address
from rag_pipeline.journal.redis.backoff import Pause
from rag_pipeline.journal.redis.batch import MAX_EVENTS, BatchWriter
from rag_pipeline.journal.redis.claims import ClaimRequest
from rag_pipeline.journal.redis.connection import TIMEOUT_SECONDS, Link, RedisUnavailableError, is_refusal
from rag_pipeline.journal.redis.keys import DEFAULT_PREFIX, Keys
from rag_pipeline.journal.redis.lease import HEARTBEAT_INTERVAL_SECONDS, LEASE_SECONDS, Holder, IdentityChangedError
from rag_pipeline.journal.redis.outage_log import Outage
from rag_pipeline.journal.redis.outbox import Outbox
from rag_pipeline.journal.redis.queue import MAX_QUEUED, EventQueue
from rag_pipeline.status import FlushRequest
from rag_pipeline.status.sinks import Published

logger = logging.getLogger("rag_pipeline.journal")

STOP_SECONDS = 5.0
_TURN_SECONDS = 1.0


class RedisPublisher:
    """Publishes the pipelines of this process; :meth:`publish` is what they are attached to.

    While Redis is away at most ``limit`` slots of events are kept, and ``degraded`` says why. Events that had to be
    dropped are replaced by one ``pipeline:status`` with ``gap: true``, for which ``status_of`` is asked on the
    publisher's thread; it returns a pipeline's status, or None if there is no such pipeline any more.
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
        self._signal = native.AutoResetEvent()
        self._queue = EventQueue(self._signal, limit)
        # A live holder gives a heartbeat each interval.
        self._patience = 3 * self._interval
        self._outbox = Outbox(
            self._queue, self._writer, self._link, self._holder, status_of, patience_seconds=self._patience
        )
        self._asked: deque[ClaimRequest] = deque()
        self._pause = Pause()
        self._timers: list[tuple[float, int, FlushRequest]] = []
        self._order = itertools.count()
        self._renew_at = 0.0
        self._retry_at = 0.0
        self._is_refused = False
        self._stop_by: float | None = None
        self._thread: native.NativeThread | None = None

    def start(self, *, looks: bool = True) -> Self:
        """Start the thread; raises JournalError if Redis is not fit. One that can't be reached is tried again.

        Without ``looks`` the thread is the first to ask.
        """
        try:
            if looks:
                self._writer.adopt()
        except JournalError as error:
            if not error.retryable:
                raise
            self._failed(error)
        self._thread = native.start_thread(self._run, "rag-pipeline-redis-publisher")
        return self

    def claim(self, *pipeline_ids: str) -> None:
        """Take the pipelines' leases; waits for Redis, and to see whether another holder of one lives.

        Raises JournalError that names the holder if another process publishes an id; one that is ``retryable`` if
        Redis can't be asked. An id that is not claimed here is claimed when its first event is to be written.
        """
        self.wait(self.ask(pipeline_ids))

    def ask(self, pipeline_ids: Iterable[str]) -> ClaimRequest:
        """Ask for the leases, all at once, and return at once; :meth:`look` and :meth:`wait` have the answers."""
        request = ClaimRequest(pipeline_ids)
        self._asked.append(request)
        self._signal.signal()
        if self._thread is None or self._thread.join(0):
            self._refuse_all(RedisUnavailableError("the publisher to Redis does not run"))
        return request

    def look(self, request: ClaimRequest) -> frozenset[str]:
        """Return which of the ids other processes have, dead or alive, without waiting for that to be seen.

        Raises the JournalError of any other id, as :meth:`claim` does.
        """
        return request.wait_for_a_look(self._longest_look)

    def wait(self, request: ClaimRequest) -> None:
        """Wait until each id is this process's; raises as :meth:`claim` does."""
        request.wait(self._patience + self._longest_look)

    @property
    def _longest_look(self) -> float:
        # The thread may be in the middle of a command, then connects, and asks.
        return 4 * self._timeout

    @property
    def pipeline_ids(self) -> frozenset[str]:
        """The pipelines that it has claimed, those that it was refused, and those that can't be written."""
        outbox = self._outbox
        return frozenset().union(outbox.claimed.copy(), outbox.refused.copy(), outbox.broken.copy())

    def release(self, pipeline_id: str) -> None:
        """Give the lease up once what the pipeline published has been written: it closed in order. Never waits."""
        self._queue.release(pipeline_id)

    def publish_all(self, items: Iterator[Published]) -> None:
        """Take what a pipeline publishes; never waits, never raises."""
        self._queue.publish_all(items)

    def health(self) -> Mapping[str, Any]:
        """Return what ``/health`` shows."""
        outbox = self._outbox
        reasons = [*outbox.refused.copy().values(), *outbox.broken.copy().values()]
        if self.degraded is not None:
            reasons.insert(0, self.degraded)
        told = {
            "status": "degraded" if reasons else "ok",
            "redis": str(self._address),
            "queued": len(self._queue),
            "dropped": self._queue.dropped,
        }
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
        return not self._outbox.waiting and not self._outbox.holding

    # -- the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._over():
            try:
                self._wait()
                self._sort_in()
                if time.monotonic() >= self._retry_at:
                    self._turn()
                elif self._asked and self.degraded is not None:
                    self._refuse_all(RedisUnavailableError(self.degraded))
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
        if self._is_refused or time.monotonic() >= self._stop_by:
            return True
        return not self._outbox.waiting and not self._outbox.holding

    def _wait(self) -> None:
        now = time.monotonic()
        due = now if self._outbox.waiting else min(self._renew_at, self._outbox.due)
        # A wake-up may get lost with an exception that is raised into the thread that reports.
        due = min(max(self._retry_at, due), now + _TURN_SECONDS)
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
            while self._asked:
                self._outbox.claim(self._asked.popleft())
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
        self._is_refused = is_refusal(error)
        self._pause.longer(refused=self._is_refused)
        self._retry_at = time.monotonic() + self._pause.seconds
        self._refuse_all(error if error.retryable else RedisUnavailableError(str(error)))

    def _refuse_all(self, error: JournalError) -> None:
        """Answer whoever waits for an id that Redis can't be asked."""
        while self._asked:
            self._outbox.claim(self._asked.popleft())
        self._outbox.fail_claims(error)

    def _recovered(self) -> None:
        if self.degraded is not None:
            self._outage.recovered(self)
            self.degraded = None
        self._is_refused = False
        self._retry_at = 0.0
        self._pause.reset()

    def _end(self) -> None:
        self._refuse_all(RedisUnavailableError("the publisher to Redis has ended"))
        if self._outbox.waiting or self._outbox.holding:
            logger.error("the last events did not get to Redis at %s", self._address)
        else:
            with suppress(JournalError):
                self._holder.release(self._link, *self._outbox.claimed)
        self._queue.close()
        self._link.close()
