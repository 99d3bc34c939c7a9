"""Follows the stream on its own thread, and recovers from any failure of Redis or the network."""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import chain
from typing import Any, NamedTuple, Self

from rag_pipeline.common import native
from rag_pipeline.errors import JournalError
from rag_pipeline.journal.base import Entry, Generations
from rag_pipeline.journal.redis.address import RedisAddress
from rag_pipeline.journal.redis.connection import TIMEOUT_SECONDS, RedisConnection, RedisUnavailableError
from rag_pipeline.journal.redis.cursor import StreamCursor
from rag_pipeline.journal.redis.entries import ForeignEntryLog, RawEntry, entry_of, read_entries
from rag_pipeline.journal.redis.gap_detector import GapDetector
from rag_pipeline.journal.redis.generations import adopt, read_generations
from rag_pipeline.journal.redis.keys import DEFAULT_PREFIX, RedisKeys, id_of, pairs, position_of
from rag_pipeline.journal.redis.outage_log import OutageLog
from rag_pipeline.journal.redis.retry import delay_after, new_backoff
from rag_pipeline.journal.redis.scripts import FOLLOW, SNAPSHOT

logger = logging.getLogger("rag_pipeline.journal")

READ_AT_ONCE = 500
READ_BYTES = 4 << 20
STOP_SECONDS = 5.0
_BLOCK_MILLISECONDS = 1000


class StreamSnapshot(NamedTuple):
    """The known pipelines at a position: of each its last status, then every entry after that.

    ``entries`` are in order, up to ``position``; the first status of each pipeline is not ``numbered``.
    """

    generations: Generations
    position: int
    entries: tuple[Entry, ...]


class RedisReader:
    """Calls ``deliver`` with every entry after :attr:`snapshot`, in order and once, summaries included.

    ``on_gap`` is called when entries may be missing: Redis was emptied, or has removed or lost entries. The snapshot is
    new then, and the next delivery comes after it. If events of a single pipeline are missing, a status marked as a gap
    replaces them. ``on_generation`` is called when Redis was restarted and has everything that was delivered. All are
    called on the reader's thread.

    ``oldest`` is the position from which every later entry can be read; 0 if none was removed.
    """

    def __init__(
        self,
        url: str,
        deliver: Callable[[list[Entry]], None],
        on_gap: Callable[[], None],
        on_generation: Callable[[Generations], None] = lambda _: None,
        *,
        outage_log: OutageLog | None = None,
        foreign_log: ForeignEntryLog | None = None,
        prefix: str = DEFAULT_PREFIX,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self.degraded: str | None = None
        self.oldest = 0
        self.snapshot: StreamSnapshot | None = None
        self._deliver = deliver
        self._on_gap = on_gap
        self._on_generation = on_generation
        self._keys = RedisKeys(prefix)
        self._block = min(_BLOCK_MILLISECONDS, round(timeout_seconds * 500))
        self._connection = RedisConnection(RedisAddress(url), timeout_seconds=timeout_seconds)
        self._outage_log = outage_log or OutageLog(self._connection.address)
        self._foreign_log = foreign_log or ForeignEntryLog(self._keys.events)
        self._gaps = GapDetector()
        self._cursor: StreamCursor | None = None
        self._backoff = new_backoff()
        self._delay = 0.0
        self._stop_signal = native.AutoResetEvent()
        self._stopping = False
        self._thread: native.NativeThread | None = None

    def start(self, *, connect: bool = True) -> Self:
        """Take the snapshot, and follow the stream from there.

        Raises JournalError if Redis is unsuitable. An unreachable Redis is retried: :attr:`degraded` says so, and
        ``on_gap`` is called once it answers. With ``connect`` False the thread connects first.
        """
        try:
            if connect:
                self._take_snapshot()
        except JournalError as error:
            if not error.retryable:
                raise
            self._failed(error)
        self._thread = native.start_thread(self._run, "rag-pipeline-redis-reader")
        return self

    def stop(self) -> bool:
        """End the thread; return whether it ended in time. Idempotent."""
        self._stopping = True
        self._stop_signal.signal()
        self._connection.interrupt()
        ended = self._thread is None or self._thread.join(STOP_SECONDS)
        if ended:
            self._connection.close()
        return ended

    def _run(self) -> None:
        while not self._stopping:
            if self.degraded is not None:
                self._wait()
            try:
                self._turn()
            except JournalError as error:
                self._failed(error)
            except Exception:
                logger.exception("the reader of Redis failed; clients start over")
                self._cursor = None  # clients see a gap where entries were not delivered
                self._delay = self._backoff.delay()
                self._wait()

    def _wait(self) -> None:
        if self._stop_signal.wait(self._delay):
            self._stop_signal.signal()  # later waits end at once, too

    def _turn(self) -> None:
        if self._stopping:
            return
        if self._cursor is None:
            self._take_snapshot()
            self._on_gap()
            return
        self._follow(self._cursor)
        self._recovered()

    def _take_snapshot(self) -> None:
        adopt(self._connection, self._keys)
        keys = [self._keys.events, self._keys.identity, self._keys.pipelines, self._keys.generations]
        mark, info, pipelines, texts = self._connection.run(SNAPSHOT, keys, [self._keys.prefix])
        if not texts:
            raise RedisUnavailableError(f"Redis at {self._connection.address} was emptied during the start")
        stream, generations = pairs(info), read_generations(texts)
        entries = list(chain.from_iterable(self._entries_of(*found) for found in pipelines))
        entries.sort(key=lambda entry: entry.position)
        last = str(stream["last-generated-id"])
        self._note_oldest(stream)
        self.snapshot = StreamSnapshot(generations, position_of(last), self._gaps.begin(entries))
        self._cursor = StreamCursor(last, int(stream["entries-added"]), mark, generations)
        self._recovered()

    def _follow(self, cursor: StreamCursor) -> None:
        """Wait for entries, and deliver them."""
        mark, info, exists, found, texts = self._read(cursor, wait=self.degraded is None)
        current, stream = cursor.in_generation(mark, texts), pairs(info)
        if current is None or not current.is_gapless(stream, exists=bool(exists)):
            logger.warning("Redis at %s has lost events; clients start over", self._connection.address)
            self._cursor = None
            return
        if current is not cursor:
            self._on_generation(current.generations)
        # Moved before the delivery, so no entry is delivered twice if that fails.
        self._cursor = current.after([entry_id for entry_id, _ in found])
        self._note_oldest(stream)
        if found and (entries := self._gaps.take(read_entries(found, self._foreign_log))):
            self._deliver(entries)

    def _note_oldest(self, stream: dict[str, Any]) -> None:
        whole = int(stream["entries-added"]) == int(stream["length"])
        self.oldest = 0 if whole else position_of(str(stream["recorded-first-entry-id"]))

    def _entries_of(self, pipeline_id: str, state: list[str], since: list[RawEntry]) -> list[Entry]:
        try:
            fields = pairs(state)
            status = entry_of(id_of(position_of(fields["position"])), fields, numbered=False)
        except (KeyError, TypeError, ValueError, RecursionError):
            self._foreign_log.note(pipeline_id, "its state in Redis can't be read")
            return []
        return [status, *read_entries(since, self._foreign_log)]

    def _read(self, cursor: StreamCursor, *, wait: bool) -> list[Any]:
        keys = [self._keys.events, self._keys.identity, self._keys.generations]
        # XREAD only waits; the script reads the entries, together with what shows whether any were removed. Both are
        # sent in one write: beside a thread that computes, each answer that is waited for takes 5 ms longer.
        until_woken = ("XREAD", "COUNT", 1, "BLOCK", self._block, "STREAMS", self._keys.events, cursor.entry_id)
        arguments: list[str | int] = [cursor.entry_id, READ_AT_ONCE, READ_BYTES, cursor.mark]
        answer: list[Any] = self._connection.run(FOLLOW, keys, arguments, after=[until_woken] if wait else [])
        return answer

    def _failed(self, error: JournalError) -> None:
        if self._stopping:
            return
        self._outage_log.failed(self, error)
        self.degraded = str(error)
        self._delay = delay_after(error, self._backoff)

    def _recovered(self) -> None:
        if self.degraded is not None:
            self._outage_log.recovered(self)
            self.degraded = None
        self._backoff.reset()
