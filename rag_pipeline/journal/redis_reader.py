"""The reader: follows the stream on a thread of its own, through whatever happens to Redis or the way to it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, NamedTuple, Self

from rag_pipeline import native
from rag_pipeline.errors import JournalError
from rag_pipeline.journal.base import Entry, Lineage
from rag_pipeline.journal.redis_address import Address
from rag_pipeline.journal.redis_generations import adopt, lineage_of
from rag_pipeline.journal.redis_keys import DEFAULT_PREFIX, Keys, entry_of, id_of, pairs, position_of
from rag_pipeline.journal.redis_link import TIMEOUT_SECONDS, Link, RedisUnavailableError
from rag_pipeline.journal.redis_outage import Outage
from rag_pipeline.journal.redis_pause import Pause
from rag_pipeline.journal.redis_place import Place
from rag_pipeline.journal.redis_scripts import FOLLOW, LOOK

logger = logging.getLogger("rag_pipeline.journal")

READ_AT_ONCE = 500
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
    are new then, and what is delivered next comes after them. ``go_on`` is called when Redis was started anew and has
    all that was delivered. All are called on the reader's thread.
    """

    def __init__(
        self,
        url: str,
        deliver: Callable[[list[Entry]], None],
        gap: Callable[[], None],
        go_on: Callable[[Lineage], None] = lambda _: None,
        *,
        outage: Outage | None = None,
        prefix: str = DEFAULT_PREFIX,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self.degraded: str | None = None
        self._deliver = deliver
        self._gap = gap
        self._go_on = go_on
        self._keys = Keys(prefix)
        self._block = min(_BLOCK_MILLISECONDS, round(timeout_seconds * 500))
        self._link = Link(Address(url), timeout_seconds=timeout_seconds)
        self._outage = outage or Outage(self._link.address)
        self._pause = Pause()
        self._place: Place | None = None
        self._snapshots = Snapshots()
        self._stopping = False
        self._thread: native.NativeThread | None = None

    def start(self) -> Self:
        """Look at what is there, and follow from there on.

        Raises JournalError if Redis is not fit. One that can't be reached is tried again: :attr:`degraded` says so, and
        ``gap`` is called once it is there.
        """
        try:
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
                logger.exception("the reader of Redis failed")
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
        entries = [entry for _, state, since in pipelines for entry in _entries_of(state, since)]
        entries.sort(key=lambda entry: entry.position)
        last = str(known["last-generated-id"])
        self._snapshots = Snapshots(lineage, position_of(last), tuple(entries))
        self._place = Place(last, int(known["entries-added"]), mark, lineage)
        self._recovered()

    def _follow(self, place: Place) -> None:
        """Wait for entries, and deliver what has come."""
        mark, stream, here, found, generations = self._ask(place, wait=self.degraded is None)
        now = place.in_generation(mark, generations)
        if now is None or not now.is_gapless(pairs(stream), here=bool(here)):
            logger.warning("Redis at %s has lost events; clients start afresh", self._link.address)
            self._place = None
            return
        if now is not place:
            self._go_on(now.lineage)
        # Moved first: entries that were handed over are not handed over again, whatever comes of them.
        self._place = now.after([entry_id for entry_id, _ in found])
        if found:
            self._deliver([entry_of(entry_id, pairs(fields)) for entry_id, fields in found])

    def _ask(self, place: Place, *, wait: bool) -> list[Any]:
        keys = [self._keys.events, self._keys.identity, self._keys.generations]
        # What it brings is passed over: entries are read with a look at whether any was removed. Sent in one go, since
        # beside a thread that computes each answer that is waited for takes 5 ms longer.
        until_woken = ("XREAD", "COUNT", 1, "BLOCK", self._block, "STREAMS", self._keys.events, place.entry_id)
        after = [until_woken] if wait else []
        answer: list[Any] = self._link.run(FOLLOW, keys, [place.entry_id, READ_AT_ONCE, place.mark], after=after)
        return answer

    def _failed(self, error: JournalError) -> None:
        if self._stopping:
            return
        self._outage.failed(self, error)
        self.degraded = str(error)
        self._pause.longer()

    def _recovered(self) -> None:
        if self.degraded is not None:
            self._outage.recovered(self)
            self.degraded = None
        self._pause.reset()


def _entries_of(state: list[str], since: list[tuple[str, Any]]) -> list[Entry]:
    fields = pairs(state)
    later = (entry_of(entry_id, pairs(found)) for entry_id, found in since)
    # Others' entries lie between those of the pipeline.
    own = [entry for entry in later if entry.event.pipeline_id == fields["pipeline_id"]]
    return [entry_of(id_of(position_of(fields["position"])), fields, numbered=False), *own]
