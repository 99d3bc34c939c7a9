"""Chunks: bounded, made once, and without what can't be encoded."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from rag_pipeline.broadcast.chunks import KEPT_BYTES, ChunkMaker, ChunkPart, PacketChunk, joined
from rag_pipeline.broadcast.encoding import BroadcastChannel
from rag_pipeline.contract import events
from rag_pipeline.contract.events import Json, PipelineEvent
from rag_pipeline.journal import Entry
from rag_pipeline.status.model import FileBody, FileRecord

CHANNEL = BroadcastChannel(events.NS_PIPELINE)


def part(position: int, size: int = 10) -> ChunkPart:
    body = FileBody(FileRecord("a", None, result="x" * size))
    event = PipelineEvent(events.FILE_COMPLETED, (events.NS_PIPELINE,), "p", None, "e", position, 1.0, body)
    return ChunkPart(Entry(position, event), f"o-{position}")


class BrokenBody(NamedTuple):
    """A body that nobody foresaw."""

    def to_json(self, at: float) -> Json:
        raise TypeError(f"no JSON of {at}")


def test_a_chunk_holds_what_fits_and_one_event_at_least() -> None:
    maker = ChunkMaker(2000)
    packets, taken = maker.make(CHANNEL, [part(n) for n in range(1, 20)])
    assert 2 < taken == len(packets) < 19
    packets, taken = maker.make(CHANNEL, [part(1, 50_000), part(2)])
    assert (len(packets), taken) == (1, 1)
    assert joined([]) is None


def test_what_can_not_be_encoded_is_left_out_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    maker = ChunkMaker(1 << 16)
    good, bad = part(1), part(2)
    broken = ChunkPart(Entry(2, bad.entry.event._replace(body=BrokenBody())), bad.offset)
    for _ in range(3):
        packets, taken = maker.make(CHANNEL, [good, broken, part(3)])
        assert (len(packets), taken) == (2, 3)
    assert len(caplog.messages) == 1
    assert "left out" in caplog.messages[0]


def test_the_kept_chunks_are_bounded_by_bytes() -> None:
    maker = ChunkMaker(1 << 22)
    packets, _ = maker.make(CHANNEL, [part(1, 1 << 20)])
    chunk = PacketChunk(joined(packets), 1)
    for n in range(50):
        maker.keep(n, chunk)
    kept = [n for n in range(50) if maker.find(n) is not None]
    assert kept == list(range(50 - len(kept), 50))
    assert 3 * len(kept) << 20 <= KEPT_BYTES
    maker.clear()
    assert maker.find(49) is None
