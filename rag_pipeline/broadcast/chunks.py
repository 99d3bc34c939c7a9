"""Chunks: stretches of events ready to be sent, made once for all clients that stand at the same place."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import NamedTuple

from rag_pipeline.broadcast.encoding import Batch, Channel, Packet, batch, packet_for, with_offset
from rag_pipeline.journal import Entry

CHUNK_BYTES = 1 << 16
KEPT_BYTES = 32 << 20


class Part(NamedTuple):
    """One event of a chunk, with the offset that it is sent with and further members of its payload."""

    entry: Entry
    offset: str
    more: str = ""


class Chunk(NamedTuple):
    """A stretch of events; after it the reader stands at ``position``."""

    batch: Batch | None
    position: int


class ChunkMaker:
    """Makes chunks of at most ``chunk_bytes``, or of one event, and keeps the last ones: 32 MiB of them."""

    def __init__(self, chunk_bytes: int) -> None:
        self._chunk_bytes = chunk_bytes
        self._kept: dict[Hashable, Chunk] = {}
        self._kept_bytes = 0

    def make(self, channel: Channel, parts: Iterable[Part]) -> tuple[list[Packet], int]:
        """Return the packets of those parts, from the first on, that fit, and how many parts those are."""
        packets: list[Packet] = []
        size = taken = 0
        for entry, offset, more in parts:
            text = entry.try_text()
            if packets and size + len(text) > self._chunk_bytes:
                break
            taken += 1
            if text:
                packet = packet_for(channel, entry.event.name, with_offset(text, offset, more), offset)
                size += len(packet.text)
                packets.append(packet)
        return packets, taken

    def find(self, key: Hashable) -> Chunk | None:
        """Return a chunk that was kept."""
        return self._kept.get(key)

    def keep(self, key: Hashable, chunk: Chunk) -> None:
        """Keep a chunk for the others; the oldest give way."""
        self._kept[key] = chunk
        self._kept_bytes += _size(chunk)
        while self._kept_bytes > KEPT_BYTES:
            oldest = next(iter(self._kept))
            self._kept_bytes -= _size(self._kept.pop(oldest))

    def clear(self) -> None:
        """Keep none."""
        self._kept.clear()
        self._kept_bytes = 0


def joined(packets: list[Packet]) -> Batch | None:
    """Return the packets as one batch, None if there are none."""
    return batch(packets) if packets else None


def _size(chunk: Chunk) -> int:
    # As text, as frames, and joined.
    return 0 if chunk.batch is None else sum(len(packet.text) for packet in chunk.batch.packets) * 3
