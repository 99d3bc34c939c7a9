"""Reads the journal in Redis, where many processes publish and many servers read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from rag_pipeline.common import native
from rag_pipeline.errors import JournalError
from rag_pipeline.journal.base import Entry, FileMatch, FileQuery
from rag_pipeline.journal.redis.address import RedisAddress
from rag_pipeline.journal.redis.checkpoints import saved_states
from rag_pipeline.journal.redis.connection import TIMEOUT_SECONDS, ConnectionLostError, RedisConnection
from rag_pipeline.journal.redis.entries import ForeignEntryLog, RawEntry, read_entries
from rag_pipeline.journal.redis.files import FileLister
from rag_pipeline.journal.redis.generations import adopt
from rag_pipeline.journal.redis.keys import DEFAULT_PREFIX, MAX_POSITION, RedisKeys, id_of, pairs, position_of
from rag_pipeline.journal.redis.lease import HEARTBEAT_SECONDS, stalled
from rag_pipeline.journal.redis.scripts import PAGE, STREAM_INFO
from rag_pipeline.status.saved import SavedState

T = TypeVar("T")

_READ_AT_ONCE = 1000
_READ_BYTES = 4 << 20
_SPARE = 32
_IDLE_CONNECTIONS = 8


class RedisJournal:
    """A :class:`~rag_pipeline.journal.base.JournalReader` on Redis; each call has a connection of its own meanwhile.

    Raises JournalError if Redis can't be reached, refuses, or is unsuitable: a wrong password, a version before 7, a
    cluster.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = DEFAULT_PREFIX,
        foreign_log: ForeignEntryLog | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self.address = RedisAddress(url)
        self._keys = RedisKeys(prefix)
        self._foreign_log = foreign_log or ForeignEntryLog(self._keys.events)
        self._timeout = timeout_seconds
        self._closed = False
        self._lock = native.allocate_lock()  # protects the idle connections
        self._idle: list[RedisConnection] = []
        self._call(lambda connection: adopt(connection, self._keys))

    @property
    def newest(self) -> int:
        """The position of the last entry."""
        return position_of(self._call(self._stream_info)["last-generated-id"])

    def reaches(self, position: int) -> bool:
        """Return whether every event after the position is still there."""
        stream = self._call(self._stream_info)
        if not 0 <= position <= position_of(stream["last-generated-id"]):
            return False
        if int(stream["entries-added"]) == int(stream["length"]):
            return True
        # The last removed entry is unknown, so the first one left is the limit.
        return position >= position_of(stream["recorded-first-entry-id"])

    def read(self, after: int, limit: int, namespace: str | None = None) -> list[Entry]:
        """Return at most ``limit`` events after the position, in order, of one namespace or of all."""
        found: list[Entry] = []
        while len(found) < limit and after < MAX_POSITION:
            # More than needed: summaries and events of other namespaces are left out.
            part = self._page(id_of(after), min(_READ_AT_ONCE, 2 * (limit - len(found)) + _SPARE), _READ_BYTES)
            found += (entry for entry in read_entries(part, self._foreign_log) if _is_wanted(entry, namespace))
            if not part:
                break
            after = position_of(part[-1][0])
        return found[:limit]

    def saved_states(self) -> Mapping[str, SavedState]:
        """Return the state that each pipeline resumes from, by pipeline id."""
        return self._call(lambda connection: saved_states(connection, self._keys))

    def files(self, query: FileQuery) -> list[FileMatch]:
        """Return the files that match, most recently changed first."""
        return self._call(lambda connection: FileLister(connection, self._keys, query, self._check_open).run())

    def stalled(self, heartbeat_seconds: float = HEARTBEAT_SECONDS) -> list[str]:
        """Return the ids of pipelines that were not closed and sent no heartbeat for this long."""
        return self._call(lambda connection: stalled(connection, self._keys, heartbeat_seconds))

    def eviction_policy(self) -> str | None:
        """Return the ``maxmemory-policy`` of Redis; None if it does not tell."""
        memory = str(self._call(lambda connection: connection.call("INFO", "memory")))
        policy = next((line for line in memory.splitlines() if line.startswith("maxmemory_policy:")), "")
        return policy.partition(":")[2].strip() or None

    def close(self) -> None:
        """Disconnect; idempotent."""
        with self._lock:
            self._closed = True
            connections, self._idle = self._idle, []
        for connection in connections:
            connection.close()

    def _page(self, *arguments: str | int) -> list[RawEntry]:
        found: list[RawEntry] = self._call(lambda connection: connection.run(PAGE, [self._keys.events], arguments))
        return found

    def _stream_info(self, connection: RedisConnection) -> dict[str, str]:
        return pairs(connection.run(STREAM_INFO, [self._keys.events], []))

    def _check_open(self) -> None:
        if self._closed:
            raise JournalError("the journal is closed")

    def _call(self, function: Callable[[RedisConnection], T]) -> T:
        with self._lock:
            self._check_open()
            connection = (
                self._idle.pop() if self._idle else RedisConnection(self.address, timeout_seconds=self._timeout)
            )
        try:
            return _call_again_if_lost(connection, function)
        finally:
            with self._lock:
                kept = not self._closed and len(self._idle) < _IDLE_CONNECTIONS
                if kept:
                    self._idle.append(connection)
            if not kept:
                connection.close()


def _call_again_if_lost(connection: RedisConnection, function: Callable[[RedisConnection], T]) -> T:
    used_before = connection.connected
    try:
        return function(connection)
    except ConnectionLostError:
        if not used_before:
            raise
        # Redis was restarted, or the idle connection was cut. Reading twice does no harm.
        return function(connection)


def _is_wanted(entry: Entry, namespace: str | None) -> bool:
    return entry.event.numbered and (namespace is None or namespace in entry.event.namespaces)
