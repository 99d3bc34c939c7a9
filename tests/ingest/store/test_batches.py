"""A file stored in batches, tested with each store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_pipeline.errors import EmbeddingError, StoreError
from rag_pipeline.ingest.store import chunk_buffer
from rag_pipeline.ingest.store.lance.store import LanceVectorStore
from rag_pipeline.ingest.store.pgvector.store import PgVectorStore
from rag_pipeline.ingest.types import Chunk, Stopped, VectorStore
from tests.ingest.store.postgres import PostgresServer
from tests.ingest.store.samples import WIDTH, chunks, everything, file, vectors
from tests.ingest.store.store_locations import StoreLocation


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunk_buffer, "CHUNKS_AT_ONCE", 4)


def batches(count: int, size: int = 3) -> Iterator[chunk_buffer.ChunkBatch]:
    for start in range(0, count, size):
        numbers = range(start, min(count, start + size))
        yield [Chunk(f"line {n}", f"page {n}", n) for n in numbers], vectors(len(numbers), start)


def test_a_file_of_many_batches_is_one_file(location: StoreLocation, store: VectorStore) -> None:
    store.replace("p", file("a", "1"), [(chunks("old"), vectors(1))])
    store.replace("p", file("a", "2"), batches(50))
    again = location.open()
    for seen in (store, again):
        assert sorted(int(hit.text.split()[1]) for hit in everything(seen)) == list(range(50))
        assert {hit.place for hit in everything(seen)} == {f"page {n}" for n in range(50)}
        assert seen.files("p") == {"a": file("a", "2")}
        assert seen.search("", vectors(3, 27)[1], limit=1)[0].text == "line 28"
    again.close()


@pytest.mark.slow
def test_other_calls_are_not_blocked_while_the_next_batch_is_made(location: StoreLocation, store: VectorStore) -> None:
    store.replace("p", file("a", "1"), [(chunks("old"), vectors(1))])
    other = location.open()

    def slowly() -> Iterator[chunk_buffer.ChunkBatch]:
        for number, batch in enumerate(batches(30)):
            for seen in (store, other):
                assert [hit.text for hit in everything(seen) if hit.file_id == "a"] == ["old"]
                assert seen.files("p")["a"].content_hash == "1"
            store.replace("p", file("b", str(number)), [(chunks(f"b {number}"), vectors(1))])
            other.replace("q", file("c", str(number)), [])
            yield batch

    store.replace("p", file("a", "2"), slowly())
    assert sorted(hit.text for hit in everything(other)) == sorted(["b 9", *(f"line {n}" for n in range(30))])
    other.close()


@pytest.mark.parametrize("error", [EmbeddingError("no answer"), Stopped(), KeyboardInterrupt()], ids=repr)
def test_an_error_of_the_batches_is_raised_and_the_old_text_stays(
    tmp_path: Path, store: VectorStore, error: BaseException
) -> None:
    store.replace("p", file("a", "1"), [(chunks("old"), vectors(1))])

    def broken() -> Iterator[chunk_buffer.ChunkBatch]:
        yield from batches(20)
        raise error

    with pytest.raises(type(error)) as caught:
        store.replace("p", file("a", "2"), broken())
    assert caught.value is error
    with pytest.raises(ValueError, match="expected 1"):
        store.replace("p", file("a", "2"), [*batches(20), (chunks("one"), vectors(2))])
    assert [hit.text for hit in everything(store)] == ["old"]
    assert store.files("p") == {"a": file("a", "1")}
    if isinstance(store, LanceVectorStore):
        assert store._table.count_rows() == 2, "nothing is left behind"


def test_a_full_disk_under_the_buffer_is_a_one_line_error(
    location: StoreLocation, store: VectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.replace("p", file("a", "1"), [(chunks("old"), vectors(1))])

    def full(**_: object) -> object:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with pytest.raises(StoreError, match=r"storing 'a' failed: (the disk is full|No space left on device)"):
        store.replace("p", file("a", "2"), batches(20))
    assert [hit.text for hit in everything(store)] == ["old"]


@pytest.mark.slow
def test_a_connection_lost_after_the_batches_is_replaced(own_postgres: PostgresServer, tmp_path: Path) -> None:
    store = PgVectorStore(own_postgres.address(), "model-a", WIDTH, buffer_dir=tmp_path)
    store.replace("p", file("a", "1"), [(chunks("old"), vectors(1))])

    def made() -> Iterator[chunk_buffer.ChunkBatch]:
        yield from batches(30)
        own_postgres.crash()
        own_postgres.start()

    store.replace("p", file("a", "2"), made())
    assert sorted(int(hit.text.split()[1]) for hit in everything(store)) == list(range(30))
    store.close()
