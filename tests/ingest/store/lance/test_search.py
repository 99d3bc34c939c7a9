"""A search while the table is changing."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_pipeline.ingest.store.lance import search
from rag_pipeline.ingest.store.lance.store import LanceVectorStore
from tests.ingest.store.samples import ANY, WIDTH, chunks, file, vectors


@pytest.mark.parametrize("by", ["the searching process", "another process"])
def test_a_file_that_is_replaced_during_each_search_is_found_by_each_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    store = LanceVectorStore(tmp_path / "store", "model-a", WIDTH)
    writer = store if by == "the searching process" else LanceVectorStore(tmp_path / "store", "model-a", WIDTH)
    writer.replace("p", file("a", "0"), [(chunks("text 0"), vectors(1))])
    search_by_vector = search._Candidates.add_vectors
    written = 0

    def replace_after(candidates: search._Candidates) -> None:
        nonlocal written
        search_by_vector(candidates)
        written += 1
        writer.replace("p", file("a", str(written)), [(chunks(f"text {written}"), vectors(1))])

    monkeypatch.setattr(search._Candidates, "add_vectors", replace_after)
    for before in range(3):
        assert [hit.text for hit in store.search("text", ANY)] == [f"text {before}"]
    assert written == 3
    store.close()
    writer.close()
