"""The reader: follows the stream on a thread of its own, through whatever happens to Redis or the way to it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import chain
from typing import Any, NamedTuple, Self

from rag_pipeline.common import native
from rag_pipeline.errors import JournalError
from rag_pipeline.journal.base import Entry, Lineage
from rag_pipeline.journal.redis.address import Address
from rag_pipeline.journal.redis.backoff import Pause
from rag_pipeline.journal.redis.connection import TIMEOUT_SECONDS, Link, RedisUnavailableError, is_refusal
from rag_pipeline.journal.redis.cursor import Place
from rag_pipeline.journal.redis.entries import FoundEntry, Strangers, entry_of, read_entries
from rag_pipeline.journal.redis.gaps import GapDetector
from rag_pipeline.journal.redis.generations import adopt, lineage_of
from rag_pipeline.journal.redis.keys import DEFAULT_PREFIX, Keys, id_of, pairs, position_of
from rag_pipeline.journal.redis.outage_log import Outage
from rag_pipeline.journal.redis.scripts import FOLLOW, LOOK

logger = logging.getLogger("rag_pipeline.journal")

READ_AT_ONCE = 500
READ_BYTES = 4 << 20
STOP_SECONDS = 5.0
_BLOCK_MILLISECONDS = 1000


class Snapshots(NamedTuple):
    """What is known when following starts: of each pipeline its last status, then every entry after that one.

    ``entries`` are in order, up to ``position``; a status among them that begins a pipeline is not ``numbered``.
    Without a ``lineage`` nothing is known yet.
    """

    lineage: Lineage | None = None
    position: int = 0
    entries: tuple[Entry, ...] = ()


class RedisReader:
    """Calls ``deliver`` with every entry after :meth:`snapshots`, in order, each once; also those that only sum up.

    ``gap`` is called where that can't be kept up: Redis was emptied, or has removed or forgotten entries. The snapshots
    are new then, and what is delivered next comes after them. Where events of one pipeline are missing all the same, a
    status that says so stands for them. ``go_on`` is called when Redis was started anew and has all that was delivered.
    All are called on the reader's thread.

    ``oldest`` is the position that every entry after it can be read from; 0 if none was removed.
    """

    def __init__(
        self,
        url: str,
        deliver: Callable[[list[Entry]], None],
        gap: Callable[[], None],
        go_on: Callable[[Lineage], None] = lambda _: None,
        *,
        outage: Outage | None = None,
        strangers: Strangers | None = None,
        prefix: str = DEFAULT_PREFIX,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self.degraded: str | None = None
        self.oldest = 0
        self._deliver = deliver
        self._gap = gap
        self._go_on = go_on
        self._keys = Keys(prefix)
        self._block = min(_BLOCK_MILLISECONDS, round(timeout_seconds * 500))
        self._link = Link(Address(url), timeout_seconds=timeout_seconds)
        self._outage = outage or Outage(self._link.address)
        self._strangers = strangers or Strangers(self._keys.events)
        self._gaps = GapDetector()
        self._pause = Pause()
        self._place: Place | None = None
        self._snapshots = Snapshots()
        self._stopping = False
        self._thread: native.NativeThread | None = None

    def start(self, *, looks: bool = True) -> Self:
        """Look at what is there, and follow from there on.

        Raises JournalError if Redis is not fit. One that can't be reached is tried again: :attr:`degraded` says so, and
        ``gap`` is called once it is there. Without ``looks`` the thread is the first to look.
        """
        try:
            if looks:
                self._look()
        except JournalError as error:
            if not error.retryable:
                raise
            self._failed(error)
        self._thread = native.start_thread(self._run, "rag-pipeline-redis-reader")
        return self

    def snapshots(self) -> Snapshots:
        """Return what was known at the start, or at the last gap."""
        return self._snapshots

    def stop(self) -> bool:
        """End the thread; return whether it ended in time. Idempotent."""
        self._stopping = True
        self._pause.end()
        self._link.interrupt()
        ended = self._thread is None or self._thread.join(STOP_SECONDS)
        if ended:
            self._link.close()
        return ended

    def _run(self) -> None:
        while not self._stopping:
            if self.degraded is not None:
                self._pause.wait()
            try:
                self._turn()
            except JournalError as error:
                self._failed(error)
            except Exception:
                logger.exception("the reader of Redis failed; clients start afresh")
                self._place = None  # whatever did not get to them is told as a gap
                self._pause.longer()
                self._pause.wait()

    def _turn(self) -> None:
        if self._stopping:
            return
        if self._place is None:
            self._look()
            self._gap()
            return
        self._follow(self._place)
        self._recovered()

    def _look(self) -> None:
        adopt(self._link, self._keys)
        keys = [self._keys.events, self._keys.identity, self._keys.pipelines, self._keys.generations]
        mark, stream, pipelines, generations = self._link.run(LOOK, keys, [self._keys.prefix])
        if not generations:
            raise RedisUnavailableError(f"Redis at {self._link.address} was emptied while it was looked at")
        known, lineage = pairs(stream), lineage_of(generations)
        entries = list(chain.from_iterable(self._entries_of(*found) for found in pipelines))
        entries.sort(key=lambda entry: entry.position)
        last = str(known["last-generated-id"])
        self._note_oldest(known)
        self._snapshots = Snapshots(lineage, position_of(last), self._gaps.begin(entries))
        self._place = Place(last, int(known["entries-added"]), mark, lineage)
        self._recovered()

    def _follow(self, place: Place) -> None:
        """Wait for entries, and deliver what has come."""
        mark, flat, here, found, generations = self._ask(place, wait=self.degraded is None)
        now, stream = place.in_generation(mark, generations), pairs(flat)
        if now is None or not now.is_gapless(stream, here=bool(here)):
            logger.warning("Redis at %s has lost events; clients start afresh", self._link.address)
            self._place = None
            return
        if now is not place:
            self._go_on(now.lineage)
        # Moved first: entries that were handed over are not handed over again, whatever comes of them.
        self._place = now.after([entry_id for entry_id, _ in found])
        self._note_oldest(stream)
        if found and (entries := self._gaps.take(read_entries(found, self._strangers))):
            self._deliver(entries)

    def _note_oldest(self, stream: dict[str, Any]) -> None:
        whole = int(stream["entries-added"]) == int(stream["length"])
        self.oldest = 0 if whole else position_of(str(stream["recorded-first-entry-id"]))

    def _entries_of(self, pipeline_id: str, state: list[str], since: list[FoundEntry]) -> list[Entry]:
        try:
            fields = pairs(state)
            status = entry_of(id_of(position_of(fields["position"])), fields, numbered=False)
        except (KeyError, TypeError, ValueError, RecursionError):
            self._strangers.note(pipeline_id, "what Redis shows of it can't be read")
            return []
        return [status, *read_entries(since, self._strangers)]

    def _ask(self, place: Place, *, wait: bool) -> list[Any]:
        keys = [self._keys.events, self._keys.identity, self._keys.generations]
        # What it brings is passed over: entries are read with a look at whether any was removed. Sent in one go, since
        # beside a thread that computes each answer that is waited for takes 5 ms longer.
        until_woken = ("XREAD", "COUNT", 1, "BLOCK", self._block, "STREAMS", self._keys.events, place.entry_id)
        after = [until_woken] if wait else []
        answer: list[Any] = self._link.run(
            FOLLOW, keys, [place.entry_id, READ_AT_ONCE, READ_BYTES, place.mark], after=after
        )
        return answer

    def _failed(self, error: JournalError) -> None:
        if self._stopping:
            return
        self._outage.failed(self, error)
        self.degraded = str(error)
        self._pause.longer(refused=is_refusal(error))

    def _recovered(self) -> None:
        if self.degraded is not None:
            self._outage.recovered(self)
            self.degraded = None
        self._pause.reset()
