from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rag_pipeline.errors import StoreError
from rag_pipeline.ingest.store.lance.store import LanceVectorStore
from rag_pipeline.ingest.types import Chunk, SourceFile
from tests.sources.following.memory_source import following

pytestmark = pytest.mark.slow


def test_a_renamed_file_is_stored_under_its_new_name_without_a_download(tmp_path: Path) -> None:
    with following(tmp_path) as run:
        run.source.write("a", "one\ntwo", "old.txt")
        run.wait_idle(processed=1)
        run.source.rename("a", "new.txt")
        run.wait_idle(processed=2)
        assert (run.store.writes, run.source.fetched) == ({"a": 1}, ["a"])
        assert run.store.files("scope")["a"].name == "new.txt"
        assert run.store.texts() == {"a": ["one", "two"]}
        last = run.state()["files_completed"][-1]
        assert (last["name"], last["result"]) == ("new.txt", {"renamed_from": "old.txt"})


def test_a_file_with_a_new_suffix_is_ingested_again(tmp_path: Path) -> None:
    with following(tmp_path) as run:
        run.source.write("a", "one", "a.txt")
        run.wait_idle(processed=1)
        run.source.rename("a", "a.csv")
        run.wait_idle(processed=2)
        assert (run.store.writes, run.store.files("scope")["a"].name) == ({"a": 2}, "a.csv")


def test_a_renamed_file_with_a_new_version_of_the_same_content_is_not_embedded(tmp_path: Path) -> None:
    with following(tmp_path) as run:
        run.source.write("a", "one", "old")
        run.wait_idle(processed=1)
        run.source.write("a", "one", "new")
        run.wait_idle(processed=2)
        assert (run.store.writes, run.source.fetched) == ({"a": 1}, ["a", "a"])
        assert run.store.files("scope")["a"].name == "new"


def test_a_rename_that_the_store_refuses_is_done_later(tmp_path: Path) -> None:
    with following(tmp_path) as run:
        run.source.write("a", "one", "old.txt")
        run.wait_idle(processed=1)
        scans = run.source.scans
        run.test.store.error = StoreError("the disk is full")
        run.source.rename("a", "new.txt")
        run.wait(lambda: run.source.scans > scans + 2)
        assert run.rows()["a"].name == "old.txt"
        run.test.store.error = None
        run.wait_idle(processed=2)
        assert (run.rows()["a"].name, run.store.files("scope")["a"].name) == ("new.txt", "new.txt")


def test_the_lancedb_store_renames_a_file_without_rewriting_its_chunks(tmp_path: Path) -> None:
    store = LanceVectorStore(tmp_path / "store", "words", 4)
    store.rename("scope", "a", "new", "uri")
    file = SourceFile("a", "old", "old uri", "hash", 1, "text/plain", 1.0)
    other = SourceFile("b", "other", "other uri", "hash", 1, "text/plain", 1.0)
    vectors = np.eye(4, dtype=np.float32)[:1]
    for each in (file, other):
        store.replace("scope", each, [([Chunk("a heron stands", "", 0)], vectors)])
    store.rename("scope", "a", "new ' \udce9", "new uri")
    assert store.files("scope")["a"].name == "new ' \udce9"
    store.close()
    store = LanceVectorStore(tmp_path / "store", "words", 4)
    found = store.files("scope")
    assert (found["a"].name, found["a"].uri, found["a"].content_hash) == ("new ' \udce9", "new uri", "hash")
    assert found["b"] == other
    assert {hit.name for hit in store.search("heron", vectors[0])} == {"new ' \udce9", "other"}
    store.close()
