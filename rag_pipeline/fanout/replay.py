"""Replay: a client that was away is sent what it missed, as fast as it takes it, and then becomes one of the others.

While it catches up it reads the journal's tail at its own pace, and is sent nothing else; since the tail grows in the
order in which events are routed, there is nothing between the last event it reads and the first it is sent live.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from rag_pipeline.fanout.encoding import Batch, Channel, Packet, batch, packet_for, with_offset
from rag_pipeline.fanout.subscriber import Subscriber
from rag_pipeline.journal import Entry, Tail, offset_of

CHUNK_EVENTS = 64
CHUNK_BYTES = 1 << 16
CHUNKS_A_TURN = 64
CHUNKS_KEPT = 256
PAUSE_SECONDS = 0.005

Fetched = Callable[[list[Entry] | None, int], None]
Fetch = Callable[[int, str, Fetched], None]
"""``fetch(position, namespace, done)`` reads from the store on another thread, and calls ``done(entries, end)`` on the
hub's with the entries between the position and ``end``, None if they are not all there."""


class Chunk(NamedTuple):
    """A stretch of events, ready to be sent; after it the reader stands at ``position``."""

    batch: Batch | None
    position: int


class _Reader:
    __slots__ = ("fetched", "fetched_end", "fetching", "position", "subscriber")

    def __init__(self, subscriber: Subscriber, position: int) -> None:
        self.subscriber = subscriber
        self.position = position
        self.fetched: list[Entry] = []
        self.fetched_end = position
        self.fetching = False


class Replays:
    """Those who catch up; belongs to the hub's thread.

    ``send`` sends a chunk to a subscriber; ``caught_up`` and ``lost`` take it over, the latter when the journal
    does not reach back to where it stands any more.
    """

    def __init__(
        self,
        send: Callable[[Subscriber, Batch], None],
        caught_up: Callable[[Subscriber], None],
        lost: Callable[[Subscriber], None],
        fetch: Fetch | None,
        backlog_limit_bytes: int,
    ) -> None:
        self._send = send
        self._caught_up = caught_up
        self._lost = lost
        self._fetch = fetch
        # A replay must never be what drives a client over its bound.
        self._enough_bytes = backlog_limit_bytes // 8
        self._chunk_bytes = min(CHUNK_BYTES, backlog_limit_bytes // 4)
        self._readers: dict[str, _Reader] = {}
        self._chunks: dict[tuple[Channel, int], Chunk] = {}  # clients that were cut off together read the same
        self._asked: dict[tuple[str, int], list[_Reader]] = {}  # who waits for what the store is asked for

    def __len__(self) -> int:
        return len(self._readers)

    def add(self, subscriber: Subscriber, position: int) -> None:
        """Begin to send what came after the position."""
        self._readers[subscriber.sid] = _Reader(subscriber, position)

    def discard(self, sid: str) -> None:
        """Forget a subscriber; unknown ones are fine."""
        if self._readers.pop(sid, None) is not None and not self._readers:
            self._chunks.clear()

    def subscribers(self) -> list[Subscriber]:
        """Return those who catch up."""
        return [reader.subscriber for reader in self._readers.values()]

    def turn(self, tail: Tail) -> float | None:
        """Send each what it takes now, within bounds; return the seconds until the next turn, None without one."""
        left = CHUNKS_A_TURN
        for reader in list(self._readers.values()):
            left -= self._feed(reader, tail, left)
        if not self._readers:
            self._chunks.clear()
            return None
        return 0.0 if left <= 0 else PAUSE_SECONDS

    def _feed(self, reader: _Reader, tail: Tail, left: int) -> int:
        """Send chunks until the client has enough, or is there; return how many."""
        sid, sent = reader.subscriber.sid, 0
        while sent < left and sid in self._readers and reader.subscriber.outlet.backlog_bytes < self._enough_bytes:
            chunk = self._next(reader, tail)
            if chunk is None:
                break
            reader.position = chunk.position
            if chunk.batch is not None:
                self._send(reader.subscriber, chunk.batch)
                sent += 1
            if chunk.position >= tail.newest and self._readers.pop(sid, None) is not None:
                self._caught_up(reader.subscriber)
        return sent

    def _next(self, reader: _Reader, tail: Tail) -> Chunk | None:
        """Return the reader's next chunk; None if it has to wait for it, or is here no more."""
        if reader.fetched:
            return self._from_store(reader, tail.identity)
        known = self._chunks.get((reader.subscriber.channel, reader.position))
        if known is not None:
            return known
        if tail.reaches(reader.position):
            return self._from_tail(reader.subscriber.channel, reader.position, tail)
        if self._fetch is None or reader.position > tail.newest:
            self.discard(reader.subscriber.sid)
            self._lost(reader.subscriber)
        elif not reader.fetching:
            reader.fetching = True
            self._ask(self._fetch, (reader.subscriber.namespace, reader.position), reader, tail)
        return None

    def _ask(self, fetch: Fetch, question: tuple[str, int], reader: _Reader, tail: Tail) -> None:
        """Ask the store, once for all who stand at the same place."""
        waiting = self._asked.setdefault(question, [])
        waiting.append(reader)
        if len(waiting) > 1:
            return

        def done(entries: list[Entry] | None, end: int) -> None:
            for one in self._asked.pop(question, []):
                self._take(one, tail, entries, end)

        namespace, position = question
        fetch(position, namespace, done)

    def _take(self, reader: _Reader, tail: Tail, entries: list[Entry] | None, end: int) -> None:
        reader.fetching = False
        if reader.subscriber.sid not in self._readers:
            return
        if entries is None:
            self.discard(reader.subscriber.sid)
            self._lost(reader.subscriber)
            return
        # The store may be ahead: what has not passed the hub yet comes by way of the tail.
        end = min(end, tail.newest)
        reader.fetched = [entry for entry in entries or () if entry.position <= end]
        reader.fetched_end = end
        if not reader.fetched:
            reader.position = end

    def _from_store(self, reader: _Reader, identity: str) -> Chunk:
        channel = reader.subscriber.channel
        known = self._chunks.get((channel, reader.position))
        if known is not None and (
            known.position <= reader.fetched[-1].position or known.position == reader.fetched_end
        ):
            reader.fetched = [entry for entry in reader.fetched if entry.position > known.position]
            return known
        chunk, taken = self._chunk(channel, reader.fetched[:CHUNK_EVENTS], identity)
        del reader.fetched[:taken]
        if not reader.fetched:
            chunk = chunk._replace(position=reader.fetched_end)
        self._keep(channel, reader.position, chunk)
        return chunk

    def _keep(self, channel: Channel, position: int, chunk: Chunk) -> None:
        """Keep a chunk for the others; the oldest gives way."""
        self._chunks[channel, position] = chunk
        if len(self._chunks) > CHUNKS_KEPT:
            del self._chunks[next(iter(self._chunks))]

    def _from_tail(self, channel: Channel, position: int, tail: Tail) -> Chunk:
        # Up to a fixed place in the numbering, so that those who come from different places soon share their chunks.
        entries = tail.read(position, CHUNK_EVENTS - position % CHUNK_EVENTS)
        wanted = [entry for entry in entries if channel.namespace in entry.event.namespaces]
        chunk, taken = self._chunk(channel, wanted, tail.identity)
        if taken == len(wanted):
            chunk = chunk._replace(position=entries[-1].position if entries else tail.newest)
            if len(entries) == CHUNK_EVENTS - position % CHUNK_EVENTS:
                self._keep(channel, position, chunk)
        return chunk

    def _chunk(self, channel: Channel, entries: list[Entry], identity: str) -> tuple[Chunk, int]:
        """Return what fits of the entries, and how many those are."""
        packets: list[Packet] = []
        size = 0
        for entry in entries:
            offset = offset_of(identity, entry.position)
            packet = packet_for(channel, entry.event.name, with_offset(entry.text, offset), offset)
            size += len(packet.text)
            if packets and size > self._chunk_bytes:
                break
            packets.append(packet)
        if not packets:
            return Chunk(None, 0), 0
        return Chunk(batch(packets), entries[len(packets) - 1].position), len(packets)
