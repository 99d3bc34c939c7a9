"""What keeps a service's events where Redis does: many processes publish, and every server shows every pipeline.

An event of this process goes to Redis and comes back through the stream like anyone else's, so that all servers show
one order. While Redis is away, events wait in the publisher, and clients stay connected to what was shown last.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from rag_pipeline.common import native
from rag_pipeline.contract.events import Event
from rag_pipeline.errors import JournalError
from rag_pipeline.journal.backend import BeginJournal, with_drops
from rag_pipeline.journal.base import Entry, FileQuery, FileRow, Lineage, new_identity
from rag_pipeline.journal.fetcher import Done, Fetcher
from rag_pipeline.journal.redis.address import Address
from rag_pipeline.journal.redis.backoff import REFUSED_SECONDS
from rag_pipeline.journal.redis.claims import ClaimRequest
from rag_pipeline.journal.redis.connection import is_refusal
from rag_pipeline.journal.redis.entries import Strangers
from rag_pipeline.journal.redis.journal import RedisJournal
from rag_pipeline.journal.redis.keys import Keys
from rag_pipeline.journal.redis.outage_log import Outage
from rag_pipeline.journal.redis.publisher import RedisPublisher
from rag_pipeline.journal.redis.reader import RedisReader
from rag_pipeline.journal.tail import Tail
from rag_pipeline.status import SavedState, Sink, StatusCore

logger = logging.getLogger("rag_pipeline.journal")

WATCH_SECONDS = 1.0
POLICY_SECONDS = 30.0
STOP_SECONDS = 5.0


class RedisKeeper:
    """Stands between pipelines, Redis and the hub as :class:`~rag_pipeline.journal.backend.Keeper` does for a store.

    ``heartbeat_seconds`` is how long a process may be silent before its pipelines are shown as stalled. Raises
    JournalError if Redis is not fit; one that can't be reached is tried again for as long as the service runs. One that
    drops keys when its memory is short is used, and said to be degraded.
    """

    shared = True

    def __init__(self, url: str, *, heartbeat_seconds: float = 30.0) -> None:
        self._url = url
        self._heartbeat = heartbeat_seconds
        self.tail = Tail(Lineage(new_identity()))
        self._outage = Outage(Address(url))
        self._publisher = RedisPublisher(url, self._status_of, outage=self._outage)
        self._unserved: frozenset[str] = frozenset()
        self._pipelines: Callable[[], Iterable[StatusCore]] = tuple
        self._dropped: Callable[[], int] = int
        self._saved: dict[str, SavedState] = {}
        self._request: ClaimRequest | None = None
        self._awaited: frozenset[str] = frozenset()
        self._strangers = Strangers(Keys().events)
        self._evicting: str | None = None
        self._policy_due = 0.0
        self._stopping = native.AutoResetEvent()
        self._watcher: native.NativeThread | None = None
        self._fetcher: Fetcher | None = None
        self._ended = False
        self._is_connected = False
        self._journal = self._open()

    def _open(self) -> RedisJournal | None:
        try:
            journal = RedisJournal(self._url, strangers=self._strangers)
            self._saved = dict(journal.saved())
        except JournalError as error:
            if not error.retryable:
                raise
            return None
        self._look_at_policy(journal)
        return journal

    def connect(
        self,
        deliver: Callable[[Entry], None],
        post: Callable[[Callable[[], None]], None],
        *,
        begin_journal: BeginJournal,
        dropped: Callable[[], int],
        mark_stalled: Callable[[Iterable[str]], None],
        pipelines: Callable[[], Iterable[StatusCore]],
    ) -> Sink:
        """Set up the way to the hub; return where pipelines are to publish.

        ``deliver`` hands an event to the hub, ``post`` work for its thread. ``begin_journal`` tells it what is known of
        each pipeline as of a position, ``mark_stalled`` which have stopped reporting.
        """

        def deliver_all(entries: list[Entry]) -> None:
            for entry in entries:
                deliver(entry)

        def begin() -> None:
            known = self._reader.snapshots()
            if known.lineage is not None:
                begin_journal(known.lineage, known.position, known.entries)

        def go_on(lineage: Lineage) -> None:
            post(lambda: self.tail.go_on(lineage))

        self._pipelines = pipelines
        self._dropped = dropped
        self._post = post
        self._begin = begin
        self._mark_stalled = mark_stalled
        self._reader = RedisReader(self._url, deliver_all, begin, go_on, outage=self._outage, strangers=self._strangers)
        self._is_connected = True
        return self._publisher

    def claim(self, pipeline_ids: Collection[str]) -> frozenset[str]:
        """Ask for the pipelines' ids, all at once; return those that other processes have, dead or alive.

        For these :meth:`wait_for_claims` waits. Raises JournalError if another id can't be had. While Redis is away ids
        are taken later, with the pipeline's first event that gets there.
        """
        if not pipeline_ids:
            return frozenset()
        self._awaited = frozenset(pipeline_ids)
        self._request = self._publisher.ask(pipeline_ids)
        held: frozenset[str] = frozenset()
        try:
            held = self._publisher.look(self._request)
        except JournalError as error:
            if not error.retryable:
                raise
        self._read_again(set(pipeline_ids) - held)
        if not held:
            self._awaited = held
        return held

    def wait_for_claims(self, pipeline_ids: Collection[str]) -> None:
        """Wait to see whether who has the ids lives; raises JournalError that names a holder who does."""
        if self._request is None or not pipeline_ids:
            return
        try:
            self._publisher.wait(self._request)
        except JournalError as error:
            if not error.retryable:
                raise
        self._read_again(pipeline_ids)
        self._awaited = frozenset()

    def _read_again(self, pipeline_ids: Collection[str]) -> None:
        """Read what the pipelines go on from: the holder before may have written up to the moment it gave the id up."""
        if self._journal is None:
            return
        try:
            known = self._journal.saved()
        except JournalError as error:
            if not error.retryable:
                raise
            return
        self._saved.update((name, known[name]) for name in pipeline_ids if name in known)

    def start(self) -> None:
        """Begin to publish and to follow; raises JournalError if Redis is not fit."""
        # One that could not be asked just now would only keep the start waiting once more.
        there = self._journal is not None
        self._publisher.start(looks=there)
        self._reader.start(looks=there)
        self._begin()
        self._watcher = native.start_thread(self._watch, "rag-pipeline-redis-watch")

    def stop(self) -> None:
        """Publish what is queued, give the ids back, end the threads; idempotent, within seconds."""
        if self._ended:
            return
        self._ended = True
        self._stopping.signal()
        if not self._publisher.stop():
            logger.error("the last events did not get to Redis")
        if self._is_connected:  # or a port was in use, say
            self._reader.stop()
        if self._watcher is not None:
            self._watcher.join(STOP_SECONDS)
        if self._fetcher is not None:
            self._fetcher.stop()
        if self._journal is not None:
            self._journal.close()

    # -- what is asked of it -----------------------------------------------------------------------------------------

    def reaches(self, position: int) -> bool:
        """Return whether every event after the position can be had, as far as is known without asking."""
        return self.tail.reaches(position) or (
            self._journal is not None and self._reader.oldest <= position < self.tail.start
        )

    def restore(self, pipeline_id: str) -> SavedState | None:
        """Return what a pipeline goes on from, as of the start; once."""
        return self._saved.pop(pipeline_id, None)

    def fetch(self, position: int, namespace: str, done: Done) -> None:
        """See :meth:`Fetcher.fetch`."""
        journal = self._journal
        if journal is None:
            done(None, position)
            return
        if self._fetcher is None:
            self._fetcher = Fetcher(journal, self._post)
        self._fetcher.fetch(position, namespace, done)

    def read(self, after: int, limit: int, namespace: str) -> list[Entry]:
        """Return events after the position, in order; from any thread, which waits for Redis."""
        if self._journal is None or (self.tail.reaches(after) and len(self.tail)):
            return self.tail.read(after, limit, namespace)
        return self._journal.read(after, limit, namespace)

    def files(self, query: FileQuery) -> list[FileRow]:
        """Return the files that fit, the one that changed last first."""
        if self._journal is None:
            raise JournalError("Redis can't be reached")
        return self._journal.files(query)

    def has_all_files(self) -> bool:
        """Return whether :meth:`files` knows every file there was, as far as this process can tell."""
        return not self._dropped() and not self._publisher.health().get("dropped")

    def describe(self) -> dict[str, Any]:
        """Return what ``/health`` says of the journal."""
        told: Mapping[str, Any] = self._publisher.health()
        reasons = dict.fromkeys(why for why in (told.get("error"), self._reader.degraded, self._evicting) if why)
        error = "; ".join(reasons) or None
        status = "ok" if error is None else "degraded"
        shown = {"kind": "redis", **told, "status": status}
        return with_drops(shown if error is None else {**shown, "error": error}, self._dropped())

    # -- the watcher's thread ----------------------------------------------------------------------------------------

    def _watch(self) -> None:
        pause = WATCH_SECONDS
        while not self._stopping.wait(pause):
            pause = WATCH_SECONDS
            try:
                self._let_go()
                self._look()
            except JournalError as error:  # the publisher and the reader say so
                pause = REFUSED_SECONDS if is_refusal(error) else WATCH_SECONDS
            except Exception:
                logger.exception("the watch over Redis failed")
                pause = REFUSED_SECONDS

    def _let_go(self) -> None:
        """Give up the ids of pipelines that were closed, at the second look: an id is claimed before it is served."""
        served = {pipeline.pipeline_id for pipeline in self._pipelines()}
        unserved = self._publisher.pipeline_ids - served - self._awaited
        for pipeline_id in unserved & self._unserved:
            self._publisher.release(pipeline_id)
        self._unserved = unserved

    def _look(self) -> None:
        if self._journal is None:
            self._journal = self._open()
        journal = self._journal
        if journal is None:
            return
        self._mark_stalled(journal.stalled(self._heartbeat))
        if time.monotonic() >= self._policy_due:
            self._look_at_policy(journal)

    def _look_at_policy(self, journal: RedisJournal) -> None:
        """See whether Redis drops keys when its memory is short: any key, or those only that have a time to live."""
        self._policy_due = time.monotonic() + POLICY_SECONDS
        try:
            policy = journal.eviction_policy()
        except JournalError:
            return  # it does not say; the parts that need it say if it is away
        before, self._evicting = self._evicting, None
        if policy is not None and policy.startswith("allkeys-"):
            self._evicting = (
                f"Redis at {journal.address} drops the journal's keys when its memory is short: "
                f"maxmemory-policy is {policy}, and must be noeviction"
            )
        if self._evicting is not None and self._evicting != before:
            logger.error("%s", self._evicting)
        elif before is not None and self._evicting is None:
            logger.warning("Redis at %s drops no keys any more", journal.address)

    def _status_of(self, pipeline_id: str) -> Event | None:
        found = (p for p in self._pipelines() if p.pipeline_id == pipeline_id)
        pipeline = next(found, None)
        return None if pipeline is None else pipeline.status_event()
