"""Chunks are bounded, cached, and leave out events that can't be encoded."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from rag_pipeline.broadcast import PacketBatch
from rag_pipeline.broadcast.chunks import KEPT_BYTES, ChunkMaker, ChunkPart, PacketChunk
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
    """A body that can't be encoded."""

    def to_json(self, at: float) -> Json:
        raise TypeError(f"no JSON of {at}")


def count(batch: PacketBatch | None) -> int:
    return 0 if batch is None else len(batch.packets)


def test_a_chunk_holds_the_events_that_fit_and_at_least_one() -> None:
    maker = ChunkMaker(2000)
    batch, taken = maker.make(CHANNEL, [part(n) for n in range(1, 20)])
    assert 2 < taken == count(batch) < 19
    batch, taken = maker.make(CHANNEL, [part(1, 50_000), part(2)])
    assert (count(batch), taken) == (1, 1)
    assert maker.make(CHANNEL, []) == (None, 0)


def test_an_event_that_can_not_be_encoded_is_left_out_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    maker = ChunkMaker(1 << 16)
    good, bad = part(1), part(2)
    broken = ChunkPart(Entry(2, bad.entry.event._replace(body=BrokenBody())), bad.offset)
    for _ in range(3):
        batch, taken = maker.make(CHANNEL, [good, broken, part(3)])
        assert (count(batch), taken) == (2, 3)
    assert len(caplog.messages) == 1
    assert "left out" in caplog.messages[0]


def test_the_cache_is_bounded_by_bytes() -> None:
    maker = ChunkMaker(1 << 22)
    batch, _ = maker.make(CHANNEL, [part(1, 1 << 20)])
    chunk = PacketChunk(batch, 1)
    for n in range(50):
        maker.keep(n, chunk)
    kept = [n for n in range(50) if maker.find(n) is not None]
    assert kept == list(range(50 - len(kept), 50))
    assert 3 * len(kept) << 20 <= KEPT_BYTES
    maker.clear()
    assert maker.find(49) is None
