"""Both stores give the same words the same score."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_pipeline.ingest.types import Chunk, VectorStore
from tests.ingest.store.postgres import PostgresServer
from tests.ingest.store.samples import ANY, file, vectors
from tests.ingest.store.store_locations import StoreLocation

pytestmark = pytest.mark.slow

TEXTS = [
    "the heron stands in the reeds and waits",
    "heron heron heron, and again a heron in the water",
    "WHO guidelines for getUserName and err_1042",
    *(f"filler number {n} of many others in the store" for n in range(40)),
]


def words(store: VectorStore, question: str) -> dict[str, float]:
    return {hit.text: round(hit.words, 3) for hit in store.search(question, ANY, limit=60)}


def test_the_scores_of_both_stores_are_equal(tmp_path: Path, postgres: PostgresServer, schema: str) -> None:
    found = []
    for location in (StoreLocation("lance", str(tmp_path)), StoreLocation("postgres", postgres.url(schema=schema))):
        store = location.open()
        store.replace("p", file("birds"), [([Chunk(text, "", n) for n, text in enumerate(TEXTS)], vectors(len(TEXTS)))])
        store.replace("p", file("other"), [([Chunk("no bird", "", 0)], vectors(1))])
        store.tidy()  # so that the index has all rows
        found.append([words(store, question) for question in ("herons", "WHO user name", "number heron", "birds")])
        store.close()
    for ours, theirs in zip(*found, strict=True):
        assert any(ours.values())
        assert ours == pytest.approx(theirs, rel=0.05, abs=0.02)
