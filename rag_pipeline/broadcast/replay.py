"""Replay: sends a client the events it misses, as fast as it takes them, until it has caught up and can go live.

A returning client reads the journal from its offset; a newcomer first reads the script of its snapshot round. Neither
is sent anything else meanwhile. The journal's tail grows in the order in which events are routed, so no event lies
between the last one a client reads and the first one it is sent live. Of the statuses that a returning client missed,
it gets only the newest of each pipeline: that one includes everything the earlier ones said.
"""

from __future__ import annotations

import json
import logging
from bisect import bisect_right
from collections.abc import Callable, Iterator

from rag_pipeline.broadcast.chunks import CHUNK_BYTES, ChunkMaker, ChunkPart, PacketChunk
from rag_pipeline.broadcast.encoding import PacketBatch
from rag_pipeline.broadcast.pages import Fetch, Page, Pages
from rag_pipeline.broadcast.snapshots import ScriptStep, SnapshotRound
from rag_pipeline.broadcast.subscriber import Subscriber
from rag_pipeline.journal import Entry, Tail, offset_of
from rag_pipeline.journal.gap import GAP

logger = logging.getLogger("rag_pipeline.broadcast")

CHUNK_EVENTS = 64
CHUNKS_A_TURN = 64
PAUSE_SECONDS = 0.005


class _ReplayReader:
    __slots__ = (
        "clock",
        "missed_until",
        "page",
        "position",
        "round",
        "step",
        "steps",
        "subscriber",
        "waits_for_states",
    )

    def __init__(self, subscriber: Subscriber, position: int, missed_until: int) -> None:
        self.subscriber = subscriber
        self.position = position
        self.missed_until = missed_until  # where the journal ended when the client returned
        self.page: Page | None = None
        self.waits_for_states = True
        self.round: SnapshotRound | None = None
        self.steps: list[ScriptStep] = []
        self.step = 0
        self.clock = 0

    def read_script(self, round_: SnapshotRound) -> None:
        """Read the script of a round next, then the journal from the round's end."""
        self.round = round_
        self.steps = round_.script(self.subscriber.namespace, resumed=self.subscriber.recovered is True)
        self.step = 0
        self.position, self.clock = round_.end, round_.clock
        self.waits_for_states = False

    @property
    def state_members(self) -> str:
        """Extra JSON members of the states: ``recovered`` for a returning client, and ``gap`` if events are missing."""
        recovered = self.subscriber.recovered
        member = "" if recovered is None else f'"recovered":{json.dumps(recovered)},'
        return f"{GAP}{member}" if self.subscriber.misses_events else member


class Replays:
    """The clients that are catching up. Belongs to the hub's thread.

    ``send`` sends a chunk to a subscriber. The other callbacks take a subscriber over: ``caught_up`` when it has
    everything, ``ask_states`` when it has all missed events and needs the states next, ``lost`` when the journal no
    longer reaches back to its position, ``failed`` when it could not be served.
    """

    def __init__(
        self,
        send: Callable[[Subscriber, PacketBatch], None],
        *,
        caught_up: Callable[[Subscriber], None],
        ask_states: Callable[[Subscriber], None],
        lost: Callable[[Subscriber], None],
        failed: Callable[[Subscriber], None],
        fetch: Fetch | None,
        backlog_limit_bytes: int,
    ) -> None:
        self._send = send
        self._caught_up = caught_up
        self._ask_states = ask_states
        self._lost = lost
        self._failed = failed
        # Chunks do not count against a client's backlog limit, because it is sent no more than it takes.
        self._enough_bytes = backlog_limit_bytes // 8
        self._readers: dict[str, _ReplayReader] = {}
        self._chunks = ChunkMaker(min(CHUNK_BYTES, backlog_limit_bytes // 4))
        self._pages = None if fetch is None else Pages(fetch)

    def __len__(self) -> int:
        return len(self._readers)

    def add(self, subscriber: Subscriber, position: int, newest: int) -> None:
        """Send the events after the position; those up to ``newest`` came while the client was away."""
        self._readers[subscriber.sid] = _ReplayReader(subscriber, position, newest)

    def greet(self, subscriber: Subscriber, round_: SnapshotRound) -> None:
        """Send the script of a snapshot round, then the events after it."""
        reader = self._readers[subscriber.sid] = _ReplayReader(subscriber, round_.end, round_.end)
        reader.read_script(round_)

    def discard(self, sid: str) -> None:
        """Forget a subscriber; unknown ones are fine."""
        if self._readers.pop(sid, None) is not None and not self._readers:
            self._clear()

    def abort(self) -> list[Subscriber]:
        """Forget all subscribers and return them: the journal is replaced, so their positions are void."""
        subscribers = self.subscribers()
        self._readers.clear()
        self._clear()
        return subscribers

    def subscribers(self) -> list[Subscriber]:
        """Return the subscribers that are catching up."""
        return [reader.subscriber for reader in self._readers.values()]

    def _clear(self) -> None:
        self._chunks.clear()
        if self._pages is not None:
            self._pages.clear()

    def turn(self, tail: Tail) -> float | None:
        """Send each client what it can take now; return the seconds until the next turn, None if there is none."""
        left, served = CHUNKS_A_TURN, set[_ReplayReader]()
        # A client that has read all missed events may get the states at once, and is a new reader from then on.
        while left > 0 and (waiting := [reader for reader in self._readers.values() if reader not in served]):
            for reader in waiting:
                if left <= 0:
                    break
                served.add(reader)
                left -= self._serve(reader, tail, left)
        for round_ in {reader.round for reader in self._readers.values() if reader.round is not None}:
            round_.forget_texts()
        if not self._readers:
            self._clear()
            return None
        return 0.0 if left <= 0 else PAUSE_SECONDS

    def _serve(self, reader: _ReplayReader, tail: Tail, left: int) -> int:
        sid, sent = reader.subscriber.sid, 0
        try:
            sent = self._feed(reader, tail, left)
        except Exception:
            logger.exception("client %s in %s could not be caught up", sid, reader.subscriber.namespace)
            self.discard(sid)
            self._failed(reader.subscriber)
        if sent and self._readers.get(sid) is reader:
            self._readers[sid] = self._readers.pop(sid)  # to the end of the queue: the others come first next time
        return sent

    def _feed(self, reader: _ReplayReader, tail: Tail, left: int) -> int:
        """Send chunks until the client has enough for now or has caught up; return how many."""
        sid, sent = reader.subscriber.sid, 0
        while sent < left and self._readers.get(sid) is reader:
            if reader.subscriber.outlet.backlog_bytes >= self._enough_bytes:
                break
            if (chunk := self._next(reader, tail)) is None:
                break
            if chunk.batch is not None:
                self._send(reader.subscriber, chunk.batch)
                sent += 1
            if self._readers.get(sid) is reader:
                self._check_progress(reader, tail)
                if chunk.batch is None and reader.position >= tail.newest:
                    break  # all is sent, but the client has yet to take it
        return sent

    def _check_progress(self, reader: _ReplayReader, tail: Tail) -> None:
        if reader.step < len(reader.steps) or reader.position < tail.newest:
            return
        if reader.waits_for_states:
            del self._readers[reader.subscriber.sid]
            self._ask_states(reader.subscriber)
        elif not tail.summaries(reader.clock) and not reader.subscriber.outlet.backlog_bytes:
            # Only once it has taken everything: live events count against the backlog limit, and a client that is
            # dropped for them would lose the rest of its states.
            del self._readers[reader.subscriber.sid]
            self._caught_up(reader.subscriber)

    # -- the next chunk ------------------------------------------------------------------------------------------------

    def _next(self, reader: _ReplayReader, tail: Tail) -> PacketChunk | None:
        """Return the next chunk and move the reader past it; None if it is not there yet, or the client was lost."""
        if reader.step < len(reader.steps):
            return self._from_script(reader)
        if reader.round is not None:
            reader.round, reader.steps, reader.step = None, [], 0
        if reader.position >= tail.newest:
            return self._summaries(reader, tail)
        if tail.reaches(reader.position):
            chunk = self._from_tail(reader, tail)
        else:
            stored = self._from_store(reader, tail)
            if stored is None:
                return None
            chunk = stored
        reader.position = chunk.position
        return chunk

    def _from_script(self, reader: _ReplayReader) -> PacketChunk:
        channel, extra = reader.subscriber.channel, reader.state_members
        key = reader.round, channel, extra, reader.subscriber.recovered, reader.step
        chunk = self._chunks.find(key)
        if chunk is None:
            steps = reader.steps[reader.step : reader.step + CHUNK_EVENTS]
            parts = (ChunkPart(step.entry, step.offset, extra if step.is_state else "") for step in steps)
            batch, taken = self._chunks.make(channel, parts)
            chunk = PacketChunk(batch, reader.step + taken)
            self._chunks.keep(key, chunk)
        reader.step = chunk.position
        reader.subscriber.greeted = True
        return chunk

    def _summaries(self, reader: _ReplayReader, tail: Tail) -> PacketChunk:
        """Return the unnumbered statuses that came during the replay, for clients that listen to statuses only."""
        summaries = tail.summaries(reader.clock)[:CHUNK_EVENTS] if not reader.waits_for_states else []
        namespace = reader.subscriber.namespace
        wanted = [(clock, entry) for clock, entry in summaries if namespace in entry.event.namespaces]
        offset = offset_of(tail.identity, tail.newest)
        batch, taken = self._chunks.make(reader.subscriber.channel, (ChunkPart(entry, offset) for _, entry in wanted))
        if taken < len(wanted):
            reader.clock = wanted[taken - 1][0]
        elif summaries:
            reader.clock = summaries[-1][0]
        return PacketChunk(batch, reader.position)

    def _from_tail(self, reader: _ReplayReader, tail: Tail) -> PacketChunk:
        channel, position = reader.subscriber.channel, reader.position
        # Up to a fixed position, so that readers who come from different positions soon share their chunks.
        count = CHUNK_EVENTS - position % CHUNK_EVENTS
        was_away = position < reader.missed_until
        key = channel, position, was_away
        chunk = self._chunks.find(key)
        if chunk is not None and (not was_away or chunk.position <= reader.missed_until):
            return chunk
        entries = tail.read(position, count)
        if was_away:
            entries = [entry for entry in entries if entry.position <= reader.missed_until]
        end = entries[-1].position if entries else reader.missed_until if was_away else tail.newest
        wanted = _wanted(entries, channel.namespace, tail, was_away=was_away)
        chunk, is_whole = self._chunk(reader, wanted, end, tail.identity)
        if is_whole and len(entries) == count:
            self._chunks.keep(key, chunk)
        return chunk

    def _from_store(self, reader: _ReplayReader, tail: Tail) -> PacketChunk | None:
        namespace = reader.subscriber.namespace
        page = reader.page
        if page is None or not page.covers(reader.position):
            page = reader.page = self._find_page(reader, tail)
            if page is None:
                return None
        was_away = reader.position < reader.missed_until
        key = reader.subscriber.channel, reader.position, was_away
        chunk = self._chunks.find(key)
        if chunk is not None and chunk.position <= page.end:
            return chunk
        rest = _after(page.entries, reader.position, CHUNK_EVENTS)
        end = rest[-1].position if len(rest) == CHUNK_EVENTS else page.end
        wanted = _wanted(rest, namespace, tail, was_away=was_away)
        chunk, _ = self._chunk(reader, wanted, end, tail.identity)
        self._chunks.keep(key, chunk)
        return chunk

    def _find_page(self, reader: _ReplayReader, tail: Tail) -> Page | None:
        page = None
        if self._pages is not None and reader.position <= tail.newest:
            page = self._pages.find(reader.subscriber.namespace, reader.position, tail)
            if page is None or page.covers(reader.position):
                return page
        self._lose(reader)
        return None

    def _lose(self, reader: _ReplayReader) -> None:
        """Give the client back: the journal does not reach back to its position."""
        self.discard(reader.subscriber.sid)
        self._lost(reader.subscriber)

    def _chunk(self, reader: _ReplayReader, wanted: list[Entry], end: int, identity: str) -> tuple[PacketChunk, bool]:
        """Return the entries that fit, and whether that is all of them; only then the chunk reaches up to ``end``."""
        batch, taken = self._chunks.make(reader.subscriber.channel, _parts(wanted, identity))
        is_whole = taken == len(wanted)
        return PacketChunk(batch, end if is_whole else wanted[taken - 1].position), is_whole


def _wanted(entries: list[Entry], namespace: str, tail: Tail, *, was_away: bool) -> list[Entry]:
    """Return the events of a namespace; for a client that was away, without superseded statuses."""
    here = [entry for entry in entries if namespace in entry.event.namespaces]
    return [entry for entry in here if not tail.is_superseded(entry, namespace)] if was_away else here


def _parts(entries: list[Entry], identity: str) -> Iterator[ChunkPart]:
    return (ChunkPart(entry, offset_of(identity, entry.position)) for entry in entries)


def _after(entries: list[Entry], position: int, limit: int) -> list[Entry]:
    first = bisect_right(entries, position, key=lambda entry: entry.position)
    return entries[first : first + limit]
