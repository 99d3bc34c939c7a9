"""The journal on Redis Streams: many pipeline processes publish, many status servers serve."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from rag_pipeline.common import native
from rag_pipeline.contract.events import Event
from rag_pipeline.errors import JournalError
from rag_pipeline.journal.base import Entry, FileQuery, FileRow, Lineage
from rag_pipeline.journal.redis.address import Address
from rag_pipeline.journal.redis.batch import MAX_EVENTS, Batch, BatchWriter, Continuity, Line, Written
from rag_pipeline.journal.redis.checkpoints import list_files, saved_states
from rag_pipeline.journal.redis.connection import TIMEOUT_SECONDS, ConnectionLostError, Link, RedisUnavailableError
from rag_pipeline.journal.redis.entries import FoundEntry, Strangers, read_entries
from rag_pipeline.journal.redis.generations import adopt
from rag_pipeline.journal.redis.keys import DEFAULT_PREFIX, MAX_POSITION, Keys, id_of, pairs, position_of
from rag_pipeline.journal.redis.lease import (
    HEARTBEAT_SECONDS,
    Holder,
    IdentityChangedError,
    Verdict,
    Word,
    refusal,
    stalled,
    whose,
)  # fmt: skip
from rag_pipeline.journal.redis.scripts import PAGE, STREAM
from rag_pipeline.status.saved import SavedState

T = TypeVar("T")

_READ_AT_ONCE = 1000
_READ_BYTES = 4 << 20
_SPARE = 32
_KEPT_LINKS = 8


class RedisJournal:
    """The journal in Redis as anyone may ask it; each call has a connection of its own while it lasts.

    Raises JournalError where Redis can't be reached, refuses, or is not fit: a wrong password, a version before 7, a
    cluster. ``max_events`` bounds what :meth:`append` leaves, which publishers do otherwise.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = DEFAULT_PREFIX,
        max_events: int = MAX_EVENTS,
        strangers: Strangers | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self.address = Address(url)
        self._keys = Keys(prefix)
        self._strangers = strangers or Strangers(self._keys.events)
        self._timeout = timeout_seconds
        self._closed = False
        self._lock = native.allocate_lock()  # protects the links
        self._links: list[Link] = []
        self._append_lock = native.RLock()  # protects the writer: batches of one holder are numbered
        self._holder = Holder(self._keys)
        self._append_link = Link(self.address, timeout_seconds=timeout_seconds)
        self._writer = BatchWriter(self._append_link, self._keys, self._holder, max_events=max_events)
        self._continuity = Continuity()
        self._claimed: set[str] = set()
        self.check()

    def check(self) -> None:
        """See that Redis answers and is fit."""
        self._ask(lambda link: adopt(link, self._keys))

    @property
    def lineage(self) -> Lineage:
        """Whose offsets it knows, asked for each time: Redis may have been emptied, or started anew."""
        return self._ask(lambda link: adopt(link, self._keys))

    @property
    def newest(self) -> int:
        """The position of the last entry."""
        return position_of(self._ask(self._stream)["last-generated-id"])

    def reaches(self, position: int) -> bool:
        """Return whether every event after the position is still there."""
        stream = self._ask(self._stream)
        if not 0 <= position <= position_of(stream["last-generated-id"]):
            return False
        if int(stream["entries-added"]) == int(stream["length"]):
            return True
        # The last one that was removed is not known, so this is on the safe side.
        return position >= position_of(stream["recorded-first-entry-id"])

    def read(self, after: int, limit: int, namespace: str | None = None) -> list[Entry]:
        """Return at most ``limit`` events after the position, in order, of one namespace or of all."""
        found: list[Entry] = []
        while len(found) < limit and after < MAX_POSITION:
            # Of those in between some are statuses that sum up, or of other namespaces.
            arguments = (id_of(after), min(_READ_AT_ONCE, 2 * (limit - len(found)) + _SPARE), _READ_BYTES)
            part = self._page(*arguments)
            found += (entry for entry in read_entries(part, self._strangers) if _is_wanted(entry, namespace))
            if not part:
                break
            after = position_of(part[-1][0])
        return found[:limit]

    def saved(self) -> Mapping[str, SavedState]:
        """Return what each pipeline goes on from, by its id."""
        return self._ask(lambda link: saved_states(link, self._keys))

    def files(self, query: FileQuery) -> list[FileRow]:
        """Return the files that fit, the one that changed last first."""
        return self._ask(lambda link: list_files(link, self._keys, query, self._check_open))

    def stalled(self, heartbeat_seconds: float = HEARTBEAT_SECONDS) -> list[str]:
        """Return the ids of pipelines that stopped reporting without having been closed."""
        return self._ask(lambda link: stalled(link, self._keys, heartbeat_seconds))

    def size(self) -> Mapping[str, Any]:
        """Return ``events`` (how many are kept), and ``kind`` and ``redis``: what keeps them, and where."""
        key = self._keys.events
        commands = [("XRANGE", key, "-", "+", "COUNT", 1), ("XREVRANGE", key, "+", "-", "COUNT", 1)]
        first, last = self._ask(lambda link: link.call_all(commands))
        events = 0
        if first and last:
            # Each entry has the count of events up to itself; statuses that sum up are none.
            oldest, newest = pairs(first[0][1]), pairs(last[0][1])
            try:
                events = max(0, int(newest["count"]) - int(oldest["count"]) + int(oldest["numbered"]))
            except (KeyError, ValueError):
                # An entry at the end is of somebody else: so they are all counted, a few too many.
                events = int(self._ask(self._stream)["length"])
        return {"kind": "redis", "events": events, "redis": str(self.address)}

    def eviction_policy(self) -> str | None:
        """Return the ``maxmemory-policy`` of Redis, None if it does not say."""
        told = str(self._ask(lambda link: link.call("INFO", "memory")))
        policy = next((line for line in told.splitlines() if line.startswith("maxmemory_policy:")), "")
        return policy.partition(":")[2].strip() or None

    def append(self, events: Sequence[Event]) -> list[Entry]:
        """Keep the events, all or none, under leases of this journal's own; not for where a publisher runs."""
        with self._append_lock:
            self._claim({event.pipeline_id or "" for event in events} - self._claimed)
            lines = [Line.of(item) for event in events for item in self._continuity.take(event)]
            written = self._write(self._writer.batch(lines))
            if any(verdict.word is Word.EXPIRED for verdict in written.verdicts.values()):
                self._claim(set(written.verdicts))
                written = self._write(self._writer.batch(lines))
        for pipeline_id, verdict in written.verdicts.items():
            self._raise_unless_written(pipeline_id, verdict)
        ids = (entry_id for entry_id in written.ids if entry_id)
        return [Entry(position_of(entry_id), event) for entry_id, event in zip(ids, events, strict=True)]

    def close(self) -> None:
        """Give up what leases there are and disconnect; idempotent."""
        with self._lock:
            self._closed = True
            links, self._links = self._links, []
        for link in links:
            link.close()
        with self._append_lock:
            if self._claimed:
                with suppress(JournalError):
                    self._holder.release(self._append_link, *self._claimed)
                self._claimed.clear()
            self._append_link.close()

    def _claim(self, pipeline_ids: set[str]) -> None:
        if not self._writer.identity:
            self._writer.adopt()
        if pipeline_ids:
            self._holder.claim(self._append_link, self._writer.identity, *pipeline_ids)
            self._claimed |= pipeline_ids

    def _raise_unless_written(self, pipeline_id: str, verdict: Verdict) -> None:
        if verdict.word is Word.LOST:
            raise JournalError(f"pipeline {pipeline_id!r} is published by {whose(verdict.holder)}")
        if verdict.word is Word.WRITTEN:
            raise RedisUnavailableError(f"Redis at {self.address} wrote the events, but its answer was lost")
        if verdict.word is Word.BROKEN:
            raise refusal(self._append_link, pipeline_id, verdict)
        if verdict.word is not Word.OK:
            raise JournalError(f"Redis at {self.address} has lost what it had of pipeline {pipeline_id!r}")

    def _write(self, batch: Batch) -> Written:
        for _ in range(2):
            try:
                return self._writer.write(batch)
            except IdentityChangedError:
                if not self._writer.adopt():
                    raise
            except RedisUnavailableError:
                pass  # by a new connection, then; written once all the same
        return self._writer.write(batch)

    def _page(self, *arguments: str | int) -> list[FoundEntry]:
        found: list[FoundEntry] = self._ask(lambda link: link.run(PAGE, [self._keys.events], arguments))
        return found

    def _stream(self, link: Link) -> dict[str, str]:
        return pairs(link.run(STREAM, [self._keys.events], []))

    def _check_open(self) -> None:
        if self._closed:
            raise JournalError("the journal is closed")

    def _ask(self, question: Callable[[Link], T]) -> T:
        with self._lock:
            self._check_open()
            link = self._links.pop() if self._links else Link(self.address, timeout_seconds=self._timeout)
        try:
            return _answer(link, question)
        finally:
            with self._lock:
                kept = not self._closed and len(self._links) < _KEPT_LINKS
                if kept:
                    self._links.append(link)
            if not kept:
                link.close()


def _answer(link: Link, question: Callable[[Link], T]) -> T:
    used_before = link.connected
    try:
        return question(link)
    except ConnectionLostError:
        if not used_before:
            raise
        # Redis was started anew since, or something on the way ended an idle connection. Reading twice does no harm.
        return question(link)


def _is_wanted(entry: Entry, namespace: str | None) -> bool:
    return entry.event.numbered and (namespace is None or namespace in entry.event.namespaces)
