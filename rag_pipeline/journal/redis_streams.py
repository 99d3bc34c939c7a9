"""The journal on Redis Streams: many pipeline processes publish, many status servers serve."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from rag_pipeline import native
from rag_pipeline.errors import JournalError
from rag_pipeline.events import Event
from rag_pipeline.journal.base import Entry, FileQuery, FileRow, Lineage
from rag_pipeline.journal.redis_address import Address
from rag_pipeline.journal.redis_batch import MAX_EVENTS, Batch, BatchWriter, Continuity, Written
from rag_pipeline.journal.redis_generations import adopt
from rag_pipeline.journal.redis_keys import DEFAULT_PREFIX, MAX_POSITION, Keys, entry_of, id_of, pairs, position_of
from rag_pipeline.journal.redis_lease import HEARTBEAT_SECONDS, Holder, IdentityChangedError, Word, stalled, whose
from rag_pipeline.journal.redis_link import TIMEOUT_SECONDS, ConnectionLostError, Link, RedisUnavailableError
from rag_pipeline.journal.redis_saved import list_files, saved_states
from rag_pipeline.journal.redis_scripts import FOLLOW
from rag_pipeline.status.saved import SavedState

T = TypeVar("T")

_READ_AT_ONCE = 1000
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
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self.address = Address(url)
        self._keys = Keys(prefix)
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
        first = self._ask(lambda link: link.call("XRANGE", self._keys.events, "-", "+", "COUNT", 1))
        return bool(first) and position >= position_of(first[0][0])

    def read(self, after: int, limit: int, namespace: str | None = None) -> list[Entry]:
        """Return at most ``limit`` events after the position, in order, of one namespace or of all."""
        found: list[Entry] = []
        while len(found) < limit and after < MAX_POSITION:
            part = self._entries(after)
            found += (entry for entry in part if _is_wanted(entry, namespace))
            if len(part) < _READ_AT_ONCE:
                break
            after = part[-1].position
        return found[:limit]

    def saved(self) -> Mapping[str, SavedState]:
        """Return what each pipeline goes on from, by its id."""
        return self._ask(lambda link: saved_states(link, self._keys))

    def files(self, query: FileQuery) -> list[FileRow]:
        """Return the files that fit, the one that changed last first."""
        return self._ask(lambda link: list_files(link, self._keys, query))

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
            events = int(newest["count"]) - int(oldest["count"]) + int(oldest["numbered"])
        return {"kind": "redis", "events": events, "redis": str(self.address)}

    def append(self, events: Sequence[Event]) -> list[Entry]:
        """Keep the events, all or none, under leases of this journal's own; not for where a publisher runs."""
        with self._append_lock:
            self._claim({event.pipeline_id or "" for event in events} - self._claimed)
            items = [item for event in events for item in self._continuity.take(event)]
            written = self._write(self._writer.batch(items))
            if any(verdict.word is Word.EXPIRED for verdict in written.verdicts.values()):
                self._claim(set(written.verdicts))
                written = self._write(self._writer.batch(items))
        for pipeline_id, verdict in written.verdicts.items():
            if verdict.word is Word.LOST:
                raise JournalError(f"pipeline {pipeline_id!r} is published by {whose(verdict.holder)}")
            if verdict.word is Word.WRITTEN:
                raise RedisUnavailableError(f"Redis at {self.address} wrote the events, but its answer was lost")
            if verdict.word is not Word.OK:
                raise JournalError(f"Redis at {self.address} has lost what it had of pipeline {pipeline_id!r}")
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
        for pipeline_id in pipeline_ids:
            self._holder.claim(self._append_link, self._writer.identity, pipeline_id)
            self._claimed.add(pipeline_id)

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

    def _entries(self, after: int) -> list[Entry]:
        command = ("XRANGE", self._keys.events, f"({id_of(after)}", "+", "COUNT", _READ_AT_ONCE)
        found = self._ask(lambda link: link.call(*command))
        return [entry_of(entry_id, pairs(fields)) for entry_id, fields in found]

    def _stream(self, link: Link) -> dict[str, str]:
        keys = [self._keys.events, self._keys.identity, self._keys.generations]
        return pairs(link.run(FOLLOW, keys, ["0-0", 1, ""])[1])

    def _ask(self, question: Callable[[Link], T]) -> T:
        with self._lock:
            if self._closed:
                raise JournalError("the journal is closed")
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
