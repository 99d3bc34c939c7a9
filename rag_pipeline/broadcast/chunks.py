"""Chunks: consecutive events encoded once for all clients that replay from the same position."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import NamedTuple

from rag_pipeline.broadcast.encoding import BroadcastChannel, Packet, PacketBatch, batch, packet_for, with_offset
from rag_pipeline.journal import Entry

CHUNK_BYTES = 1 << 16
KEPT_BYTES = 32 << 20


class ChunkPart(NamedTuple):
    """One event of a chunk: ``offset`` is sent with it, ``extra`` has further JSON members of its payload."""

    entry: Entry
    offset: str
    extra: str = ""


class PacketChunk(NamedTuple):
    """Encoded events; ``position`` is where the reader is after them."""

    batch: PacketBatch | None
    position: int


class ChunkMaker:
    """Makes chunks of at most ``chunk_bytes`` (one event may be larger) and caches the last 32 MiB of them."""

    def __init__(self, chunk_bytes: int) -> None:
        self._chunk_bytes = chunk_bytes
        self._kept: dict[Hashable, PacketChunk] = {}
        self._kept_bytes = 0

    def make(self, channel: BroadcastChannel, parts: Iterable[ChunkPart]) -> tuple[PacketBatch | None, int]:
        """Return the packets of the first parts that fit, if there are any, and the number of these parts."""
        packets: list[Packet] = []
        size = taken = 0
        for entry, offset, extra in parts:
            text = entry.try_text()
            if packets and size + len(text) > self._chunk_bytes:
                break
            taken += 1
            if text:
                packet = packet_for(channel, entry.event.name, with_offset(text, offset, extra), offset)
                size += len(packet.text)
                packets.append(packet)
        return batch(packets) if packets else None, taken

    def find(self, key: Hashable) -> PacketChunk | None:
        """Return a cached chunk; None if there is none."""
        return self._kept.get(key)

    def keep(self, key: Hashable, chunk: PacketChunk) -> None:
        """Cache a chunk; the oldest are dropped over the limit."""
        self._kept[key] = chunk
        self._kept_bytes += _size(chunk)
        while self._kept_bytes > KEPT_BYTES:
            oldest = next(iter(self._kept))
            self._kept_bytes -= _size(self._kept.pop(oldest))

    def clear(self) -> None:
        """Drop all chunks."""
        self._kept.clear()
        self._kept_bytes = 0


def _size(chunk: PacketChunk) -> int:
    # Each packet is held as text, as a frame, and in the joined frames.
    return 0 if chunk.batch is None else sum(len(packet.text) for packet in chunk.batch.packets) * 3
