"""A search over a table that changes while it runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_pipeline.ingest.store import lance_search
from rag_pipeline.ingest.store.heads import Heads
from rag_pipeline.ingest.store.lance import LanceVectorStore
from tests.ingest.store.samples import ANY, WIDTH, chunks, file, vectors


def test_a_file_that_is_replaced_meanwhile_is_looked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LanceVectorStore(tmp_path / "store", "model-a", WIDTH)
    store.replace("p", file("a", "1"), [(chunks("old"), vectors(1))])
    look_up = lance_search._by_meaning
    looked_up: list[object] = []

    def replaced_after(*given: object) -> object:
        found = look_up(*given)  # type: ignore[arg-type]
        if not looked_up:
            looked_up.append(found)
            store.replace("p", file("a", "2"), [(chunks("new"), vectors(1))])
        return found

    monkeypatch.setattr(lance_search, "_by_meaning", replaced_after)
    assert [hit.text for hit in store.search("old new", ANY)] == ["new"]
    store.close()


def test_chunks_that_no_file_shows_have_no_heads() -> None:
    row = {"pipeline_id": "p", "file_id": "a", "generation": 1}
    assert lance_search.heads_showing(Heads([row]), {("p", 1), ("p", 2)}) == {("p", 1): [row]}
