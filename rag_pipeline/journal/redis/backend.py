"""The journal in Redis: many processes publish, and every server shows every pipeline.

An event of this process goes to Redis and comes back through the stream like any other, so all servers show one order.
While Redis is away, events wait in the publisher, and clients stay connected.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from typing import Any

from rag_pipeline.common import native
from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.errors import JournalError
from rag_pipeline.journal.backend import HubHandle, health_fields
from rag_pipeline.journal.base import Entry, FileMatch, FileQuery, Generations, new_identity
from rag_pipeline.journal.fetcher import Fetcher, OnFetched
from rag_pipeline.journal.redis.address import RedisAddress
from rag_pipeline.journal.redis.claims import ClaimRequest
from rag_pipeline.journal.redis.connection import is_refusal
from rag_pipeline.journal.redis.entries import ForeignEntryLog
from rag_pipeline.journal.redis.journal import RedisJournal
from rag_pipeline.journal.redis.keys import RedisKeys
from rag_pipeline.journal.redis.outage_log import OutageLog
from rag_pipeline.journal.redis.publisher import RedisPublisher
from rag_pipeline.journal.redis.reader import RedisReader
from rag_pipeline.journal.redis.retry import REFUSED_SECONDS
from rag_pipeline.journal.tail import Tail
from rag_pipeline.status.saved import SavedState
from rag_pipeline.status.sinks import Sink

logger = logging.getLogger("rag_pipeline.journal")

WATCH_SECONDS = 1.0
POLICY_SECONDS = 30.0
STOP_SECONDS = 5.0


class RedisBackend:
    """A :class:`~rag_pipeline.journal.backend.JournalBackend` that other processes share.

    A pipeline is shown as stalled if its process sends no heartbeat for ``heartbeat_seconds``. Raises JournalError if
    Redis is unsuitable. An unreachable Redis is retried for as long as the service runs. A Redis that evicts keys when
    its memory is short is used, but the journal is degraded.
    """

    shared = True
    writer = None

    def __init__(self, url: str, *, heartbeat_seconds: float = 30.0) -> None:
        self._url = url
        self._address = RedisAddress(url)
        self._heartbeat = heartbeat_seconds
        self.tail = Tail(Generations(new_identity()))
        self._outage_log = OutageLog(self._address)
        self._foreign_log = ForeignEntryLog(RedisKeys().events)
        self._publisher = RedisPublisher(url, self._status_of, outage_log=self._outage_log)
        self._reader = RedisReader(
            url,
            self._deliver,
            self._begin_journal,
            self._begin_generation,
            outage_log=self._outage_log,
            foreign_log=self._foreign_log,
        )
        self._hub: HubHandle | None = None
        self._fetcher: Fetcher | None = None
        self._saved: dict[str, SavedState] = {}
        self._request: ClaimRequest | None = None
        self._claiming: frozenset[str] = frozenset()
        self._closed_pipelines: frozenset[str] = frozenset()
        self._evicting: str | None = None
        self._policy_due = 0.0
        self._stop_signal = native.AutoResetEvent()
        self._watcher: native.NativeThread | None = None
        self._stopped = False
        self._journal = self._open()

    def _open(self) -> RedisJournal | None:
        """Open the journal, and read the saved states; return None if Redis can't be reached."""
        try:
            journal = RedisJournal(self._url, foreign_log=self._foreign_log)
            self._saved = dict(journal.saved_states())
        except JournalError as error:
            if not error.retryable:
                raise
            return None
        self._check_eviction(journal)
        return journal

    def connect(self, hub: HubHandle) -> Sink:
        """Return the publisher, which pipelines publish to."""
        self._hub = hub
        return self._publisher

    def start(self) -> None:
        """Start to publish and to follow; raises JournalError if Redis is unsuitable."""
        # If Redis could not be reached just now, the start does not wait for it again.
        reachable = self._journal is not None
        self._publisher.start(connect=reachable)
        self._reader.start(connect=reachable)
        self._begin_journal()
        self._watcher = native.start_thread(self._watch, "rag-pipeline-redis-watch")

    def stop(self) -> None:
        """Publish what is queued, give up the leases, end the threads within seconds; idempotent."""
        if self._stopped:
            return
        self._stopped = True
        self._stop_signal.signal()
        if not self._publisher.stop():
            logger.error("the last events were not written to Redis")
        self._reader.stop()
        if self._watcher is not None:
            self._watcher.join(STOP_SECONDS)
        if self._fetcher is not None:
            self._fetcher.stop()
        if self._journal is not None:
            self._journal.close()

    # -- claims ------------------------------------------------------------------------------------------------------

    def claim(self, pipeline_ids: Collection[str]) -> frozenset[str]:
        """Claim the ids for this process; return those that another process, dead or alive, may still own.

        Raises JournalError if another id can't be claimed. While Redis is away, ids are claimed later, with the
        pipeline's first event.
        """
        if not pipeline_ids:
            return frozenset()
        self._claiming = frozenset(pipeline_ids)
        self._request = self._publisher.claim(pipeline_ids)
        held: frozenset[str] = frozenset()
        try:
            held = self._publisher.held(self._request)
        except JournalError as error:
            if not error.retryable:
                raise
        self._reload(set(pipeline_ids) - held)
        if not held:
            self._claiming = held
        return held

    def wait_for_claims(self, pipeline_ids: Collection[str]) -> None:
        """Wait until this process owns the ids; raises JournalError that names the owner if another process lives."""
        if self._request is None or not pipeline_ids:
            return
        try:
            self._publisher.wait(self._request)
        except JournalError as error:
            if not error.retryable:
                raise
        self._reload(pipeline_ids)
        self._claiming = frozenset()

    def _reload(self, pipeline_ids: Collection[str]) -> None:
        """Read the saved states again: the owner before may have written until it gave the pipelines up."""
        if self._journal is None:
            return
        try:
            saved = self._journal.saved_states()
        except JournalError as error:
            if not error.retryable:
                raise
            return
        self._saved.update((name, saved[name]) for name in pipeline_ids if name in saved)

    def restore(self, pipeline_id: str) -> SavedState | None:
        """Return the state that the pipeline resumes from; only once."""
        return self._saved.pop(pipeline_id, None)

    # -- reading -----------------------------------------------------------------------------------------------------

    def reaches(self, position: int) -> bool:
        """Return whether every event after the position can be read, as far as the reader knows."""
        return self.tail.reaches(position) or (
            self._journal is not None and self._reader.oldest <= position < self.tail.start
        )

    def fetch(self, position: int, namespace: str, done: OnFetched) -> None:
        """Read from Redis on the fetcher's thread."""
        if self._journal is None or self._hub is None:
            done(None, position)
            return
        if self._fetcher is None:
            self._fetcher = Fetcher(self._journal, self._hub.call)
        self._fetcher.fetch(position, namespace, done)

    def read(self, after: int, limit: int, namespace: str) -> list[Entry]:
        """Return events after the position, in order, from the tail or from Redis."""
        if self._journal is None or (self.tail.reaches(after) and len(self.tail)):
            return self.tail.read(after, limit, namespace)
        return self._journal.read(after, limit, namespace)

    def files(self, query: FileQuery) -> list[FileMatch]:
        """Return the files that match, most recently changed first."""
        if self._journal is None:
            raise JournalError("Redis can't be reached")
        return self._journal.files(query)

    def has_all_files(self) -> bool:
        """Return whether :meth:`files` knows every file there was, as far as this process can tell."""
        return not self._hub_dropped and not self._publisher.dropped

    def describe(self) -> dict[str, Any]:
        """Return the journal's part of ``/health``."""
        publisher = self._publisher
        errors = dict.fromkeys(why for why in (*publisher.errors, self._reader.degraded, self._evicting) if why)
        fields = {"redis": str(self._address), "queued": publisher.queued, "dropped": publisher.dropped}
        return health_fields({"kind": "redis", **fields}, "; ".join(errors) or None, self._hub_dropped)

    @property
    def _hub_dropped(self) -> int:
        return 0 if self._hub is None else self._hub.mailbox.dropped

    # -- the reader's thread -----------------------------------------------------------------------------------------

    def _deliver(self, entries: list[Entry]) -> None:
        assert self._hub is not None
        for entry in entries:
            self._hub.mailbox.publish(entry)

    def _begin_journal(self) -> None:
        assert self._hub is not None
        if self._reader.snapshot is not None:
            self._hub.begin_journal(*self._reader.snapshot)

    def _begin_generation(self, generations: Generations) -> None:
        assert self._hub is not None
        self._hub.call(lambda: self.tail.begin_generation(generations))

    # -- the watcher's thread ----------------------------------------------------------------------------------------

    def _watch(self) -> None:
        delay = WATCH_SECONDS
        while not self._stop_signal.wait(delay):
            delay = WATCH_SECONDS
            try:
                self._release_closed()
                self._check_redis()
            except JournalError as error:  # the publisher and the reader log it
                delay = REFUSED_SECONDS if is_refusal(error) else WATCH_SECONDS
            except Exception:
                logger.exception("the watcher of Redis failed")
                delay = REFUSED_SECONDS

    def _release_closed(self) -> None:
        """Give up the leases of closed pipelines, seen closed twice: a pipeline is claimed before it is attached."""
        attached = set() if self._hub is None else {pipeline.pipeline_id for pipeline in self._hub.pipelines()}
        closed = self._publisher.pipeline_ids - attached - self._claiming
        for pipeline_id in closed & self._closed_pipelines:
            self._publisher.release(pipeline_id)
        self._closed_pipelines = closed

    def _check_redis(self) -> None:
        if self._journal is None:
            self._journal = self._open()
        journal = self._journal
        if journal is None or self._hub is None:
            return
        self._hub.mark_stalled(journal.stalled(self._heartbeat))
        if time.monotonic() >= self._policy_due:
            self._check_eviction(journal)

    def _check_eviction(self, journal: RedisJournal) -> None:
        """Check whether Redis may evict the journal's keys: only leases expire, so ``volatile-`` policies are fine."""
        self._policy_due = time.monotonic() + POLICY_SECONDS
        try:
            policy = journal.eviction_policy()
        except JournalError:
            return  # unknown; other parts notice if Redis is away
        before, self._evicting = self._evicting, None
        if policy is not None and policy.startswith("allkeys-"):
            self._evicting = (
                f"Redis at {journal.address} drops the journal's keys when its memory is short: "
                f"maxmemory-policy is {policy}, and must be noeviction"
            )
        if self._evicting is not None and self._evicting != before:
            logger.error("%s", self._evicting)
        elif before is not None and self._evicting is None:
            logger.warning("Redis at %s no longer drops keys", journal.address)

    def _status_of(self, pipeline_id: str) -> PipelineEvent | None:
        if self._hub is None:
            return None
        pipelines = (pipeline for pipeline in self._hub.pipelines() if pipeline.pipeline_id == pipeline_id)
        pipeline = next(pipelines, None)
        return None if pipeline is None else pipeline.status_event()
