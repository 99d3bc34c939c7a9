"""The chunk buffer: in memory first, then in an unnamed file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rag_pipeline.ingest.store import chunk_buffer as module
from rag_pipeline.ingest.store.chunk_buffer import ChunkBuffer, check_batch
from rag_pipeline.ingest.types import Chunk
from tests.ingest.store.samples import chunks, vectors


def numbered(count: int) -> list[Chunk]:
    return [Chunk(f"text {number} \udce9", "", number) for number in range(count)]


def test_a_few_chunks_stay_in_memory(tmp_path: Path) -> None:
    with ChunkBuffer(tmp_path / "none") as spool:
        spool.add(chunks("one"), vectors(1))
        spool.add([], vectors(0))
        spool.add(chunks("two"), vectors(1, 1))
        assert spool.is_small
        assert [[chunk.text for chunk in some] for some, _ in spool] == [["one"], ["two"]]
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("folder", ["made", None])
def test_many_chunks_are_iterated_in_order_repeatedly(
    tmp_path: Path, folder: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNKS_AT_ONCE", 7)
    made, texts = vectors(100), numbered(100)
    with ChunkBuffer(tmp_path / folder if folder else None) as spool:
        for start, end in ((0, 3), (3, 50), (50, 99), (99, 100)):
            spool.add(texts[start:end], made[start:end])
        assert not spool.is_small
        next(iter(spool))  # an iterator that is not exhausted
        for _ in range(2):
            batches = list(spool)
            assert [chunk for some, _ in batches for chunk in some] == texts
            assert np.array_equal(np.concatenate([some for _, some in batches]), made)
            assert max(len(some) for some, _ in batches) <= 7
    assert list(tmp_path.rglob("*")) == ([tmp_path / "made"] if folder else []), "the file has no name"


def test_closing_closes_the_file(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with ChunkBuffer(tmp_path) as spool:
            spool.add(numbered(1200), vectors(1200))
        spool.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_vectors_are_checked() -> None:
    assert check_batch(chunks("a"), np.ones((1, 3), np.float64), 3).dtype == np.float32
    assert check_batch([], np.zeros((0,), np.float32), 3).shape == (0, 3)
    with pytest.raises(ValueError, match="expected 2 finite rows of 3"):
        check_batch(chunks("a", "b"), np.ones((1, 3), np.float32), 3)
    with pytest.raises(ValueError, match="finite"):
        check_batch(chunks("a"), np.full((1, 3), np.inf, np.float32), 3)
