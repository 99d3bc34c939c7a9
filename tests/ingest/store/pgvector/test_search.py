"""Searches of a large store use the index, and all steps of a search read one snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from rag_pipeline.ingest.store import fusion
from rag_pipeline.ingest.store.fusion import Ranked
from rag_pipeline.ingest.store.pgvector import search
from rag_pipeline.ingest.store.pgvector.store import PgVectorStore
from tests.ingest.store.postgres import PostgresServer
from tests.ingest.store.samples import ANY, WIDTH, chunks, file, vectors
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

MANY = 600


@pytest.fixture
def store(postgres: PostgresServer, schema: str) -> Iterator[PgVectorStore]:
    opened = PgVectorStore(postgres.address(schema), "model-a", WIDTH)
    opened.prepare()
    yield opened
    opened.close()


def fill(store: PgVectorStore, seed: int = 0) -> None:
    for n in range(3):
        texts = [f"file {n} line {i}" for i in range(MANY // 3)]
        store.replace("p", file(f"f{n}"), [(chunks(*texts), vectors(len(texts), seed + n))])


def reader_by_index(server: PostgresServer, schema: str, monkeypatch: pytest.MonkeyPatch) -> PgVectorStore:
    """Open the store with sessions that use the index even on small tables."""
    monkeypatch.setenv("PGOPTIONS", "-c enable_seqscan=off -c enable_sort=off")
    return PgVectorStore(server.address(schema), "model-a", WIDTH)


def test_the_index_finds_the_same_as_an_exact_comparison(
    postgres: PostgresServer, schema: str, store: PgVectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for turn in range(5):  # deleted rows do not take the places of existing ones
        fill(store, 10 * turn)
    questions = vectors(20, 77)
    exact = [store.search("", question, limit=10) for question in questions]
    monkeypatch.setattr(search, "EXACT_BYTES", 0)
    reader = reader_by_index(postgres, schema, monkeypatch)
    found = [reader.search("", question, limit=10) for question in questions]
    hits = sum(len(set(a) & set(b)) for a, b in zip(exact, found, strict=True))
    assert hits >= 0.98 * 20 * 10
    assert len(reader.search("", ANY, limit=MANY)) == MANY
    reader.close()


def test_the_indexes_are_used(
    postgres: PostgresServer, schema: str, store: PgVectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "EXACT_BYTES", 0)
    fill(store)
    reader = reader_by_index(postgres, schema, monkeypatch)
    reader.search("line", ANY)
    reader.close()  # a session reports its index usage at its end
    used = f"SELECT indexrelname FROM pg_stat_user_indexes WHERE schemaname = '{schema}' AND idx_scan > 0"
    wait_until(lambda: {("chunks_embedding",), ("chunks_words",)} <= set(postgres.execute(used)))


def by_words_alone(store: PgVectorStore, question: str) -> list[str]:
    """Return the texts found by words alone."""
    hits = [hit for hit in store.search(question, ANY, limit=100) if hit.words > 0]
    return [hit.text for hit in sorted(hits, key=lambda hit: -hit.words)]


def test_a_common_word_is_searched_in_a_limited_number_of_chunks(
    store: PgVectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MATCHES_PER_WORD", 10)
    texts = [*["common filler"] * 50, "common zebrafish"]
    store.replace("p", file("a"), [(chunks(*texts), np.repeat(vectors(1), len(texts), axis=0))])
    assert by_words_alone(store, "common zebrafish") == ["common zebrafish", *["common filler"] * 10]


def test_a_rare_word_weighs_more_than_a_common_one(store: PgVectorStore) -> None:
    texts = [*["common one"] * 20, "zebrafish two"]
    store.replace("p", file("a"), [(chunks(*texts), np.repeat(vectors(1), len(texts), axis=0))])
    assert by_words_alone(store, "common zebrafish")[0] == "zebrafish two"


def test_two_words_with_the_same_stem_count_once(store: PgVectorStore) -> None:
    texts = ["she runs", "otters swim well", "nothing"]
    store.replace("p", file("a"), [(chunks(*texts), np.repeat(vectors(1), 3, axis=0))])
    assert by_words_alone(store, "run running runs swim well") == ["otters swim well", "she runs"]


def test_a_search_reads_one_snapshot(store: PgVectorStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.replace("p", file("a", "1"), [(chunks("old one", "old two"), vectors(2))])

    def replaced_meanwhile(*args: Any) -> list[Ranked]:
        store.replace("p", file("a", "2"), [(chunks("new"), vectors(1))])
        store.delete("p", "a")
        return fusion.rank(*args)

    monkeypatch.setattr(search, "rank", replaced_meanwhile)
    assert sorted(hit.text for hit in store.search("old", ANY)) == ["old one", "old two"]
    monkeypatch.undo()
    assert store.search("old", ANY) == []


def test_a_zero_vector_is_searched(store: PgVectorStore) -> None:
    store.replace("p", file("a"), [(chunks("text"), vectors(1))])
    assert len(store.search("text", np.zeros(WIDTH, np.float32))) == 1
