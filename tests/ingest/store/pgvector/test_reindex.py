"""A store of an older format is searched, and its words are indexed again by the next writer."""

from __future__ import annotations

import logging

import pytest

from rag_pipeline.ingest.store.pgvector import reindex
from rag_pipeline.ingest.store.pgvector.store import PgVectorStore
from rag_pipeline.ingest.types import Chunk
from tests.ingest.store.postgres import PostgresServer
from tests.ingest.store.samples import ANY, WIDTH, file, vectors

pytestmark = pytest.mark.slow


def make_old(server: PostgresServer, schema: str) -> None:
    """Turn the store into one of format 2."""
    server.execute("DROP INDEX {}.files_words", schema)
    server.execute("ALTER TABLE {}.files DROP COLUMN words", schema)
    server.execute("ALTER TABLE {}.chunks DROP COLUMN length", schema)
    server.execute("UPDATE {}.chunks SET words = to_tsvector('pg_catalog.english', text)", schema)
    server.execute("UPDATE {}.store SET format = 2", schema)


def test_the_words_of_an_older_store_are_indexed_again(
    postgres: PostgresServer, schema: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reindex, "ROWS_AT_ONCE", 2)
    store = PgVectorStore(postgres.address(schema), "model-a", WIDTH)
    texts = ["The WHO says so", "getUserName fails", "plain", "more", "text"]
    stored = [Chunk(text, "Rules › Names", n) for n, text in enumerate(texts)]
    store.replace("p", file("zebrafish.txt"), [(stored, vectors(5))])
    store.close()
    make_old(postgres, schema)

    reader = PgVectorStore(postgres.address(schema), "model-a", WIDTH)
    with caplog.at_level(logging.WARNING):
        hits = reader.search("WHO", ANY)
    assert {hit.text for hit in hits} == set(texts), "it is searched by meaning"
    assert {hit.words for hit in hits} == {0.0}
    assert "only the meaning of texts is searched" in caplog.text
    reader.close()

    writer = PgVectorStore(postgres.address(schema), "model-a", WIDTH)
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        writer.prepare()
        writer.prepare()
    assert [record.message for record in caplog.records] == [
        f"{postgres.address(schema)}: an older version made the store: its words are indexed again"
    ]
    for question, text in [("WHO", texts[0]), ("user name", texts[1])]:
        best = max(writer.search(question, ANY), key=lambda hit: hit.words)
        assert best.words > 0
        assert best.text == text
    assert all(hit.words > 0 for hit in writer.search("names", ANY)), "headings are searched"
    assert [hit.words > 0 for hit in writer.search("zebrafish", ANY)].count(True) >= 1, "names are searched"
    writer.close()
