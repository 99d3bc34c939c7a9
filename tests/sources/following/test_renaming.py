"""A file that has another name and is otherwise the same; what is done of it is part of jobs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rag_pipeline.errors import StoreError
from rag_pipeline.ingest.store.lance.store import LanceVectorStore
from rag_pipeline.ingest.types import Chunk, SourceFile
from tests.sources.following.memory_source import following


def test_a_renamed_file_is_stored_and_shown_under_its_new_name_and_not_fetched_again(tmp_path: Path) -> None:
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


def test_a_name_that_says_another_type_is_read_anew(tmp_path: Path) -> None:
    with following(tmp_path) as run:
        run.source.write("a", "one", "a.txt")
        run.wait_idle(processed=1)
        run.source.rename("a", "a.csv")
        run.wait_idle(processed=2)
        assert (run.store.writes, run.store.files("scope")["a"].name) == ({"a": 2}, "a.csv")


def test_a_new_version_with_the_same_content_and_a_new_name_is_not_embedded_again(tmp_path: Path) -> None:
    with following(tmp_path) as run:
        run.source.write("a", "one", "old")
        run.wait_idle(processed=1)
        run.source.write("a", "one", "new")
        run.wait_idle(processed=2)
        assert (run.store.writes, run.source.fetched) == ({"a": 1}, ["a", "a"])
        assert run.store.files("scope")["a"].name == "new"


def test_a_name_that_could_not_be_stored_is_stored_later(tmp_path: Path) -> None:
    with following(tmp_path) as run:
        run.source.write("a", "one", "old.txt")
        run.wait_idle(processed=1)
        looks = run.source.looks
        run.test.store.error = StoreError("the disk is full")
        run.source.rename("a", "new.txt")
        run.wait(lambda: run.source.looks > looks + 2)
        assert run.rows()["a"].name == "old.txt"
        run.test.store.error = None
        run.wait_idle(processed=2)
        assert (run.rows()["a"].name, run.store.files("scope")["a"].name) == ("new.txt", "new.txt")


def test_the_embedded_store_renames_a_file_without_touching_its_chunks(tmp_path: Path) -> None:
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
