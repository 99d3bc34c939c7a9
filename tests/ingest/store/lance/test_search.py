"""A search over a table that changes while it runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_pipeline.ingest.store.lance import search
from rag_pipeline.ingest.store.lance.file_index import FileIndex
from rag_pipeline.ingest.store.lance.store import LanceVectorStore
from tests.ingest.store.samples import ANY, WIDTH, chunks, file, vectors


@pytest.mark.parametrize("by", ["the process that searches", "another process"])
def test_files_that_are_replaced_again_and_again_are_found_by_each_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    store = LanceVectorStore(tmp_path / "store", "model-a", WIDTH)
    writer = store if by == "the process that searches" else LanceVectorStore(tmp_path / "store", "model-a", WIDTH)
    writer.replace("p", file("a", "0"), [(chunks("text 0"), vectors(1))])
    look_up = search._by_meaning
    written = 0

    def replaced_after(*given: object) -> object:
        nonlocal written
        found = look_up(*given)  # type: ignore[arg-type]
        written += 1
        writer.replace("p", file("a", str(written)), [(chunks(f"text {written}"), vectors(1))])
        return found

    monkeypatch.setattr(search, "_by_meaning", replaced_after)
    for before in range(3):
        assert [hit.text for hit in store.search("text", ANY)] == [f"text {before}"]
    assert written == 3
    store.close()
    writer.close()


def test_chunks_that_no_file_shows_have_no_heads() -> None:
    row = {"pipeline_id": "p", "file_id": "a", "generation": 1}
    assert search.heads_showing(FileIndex([row]), {("p", 1), ("p", 2)}) == {("p", 1): [row]}
