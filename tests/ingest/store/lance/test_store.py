"""The LanceDB store beyond the promises of every store: compaction, leftovers, damage, a full disk."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from rag_pipeline.errors import StoreError
from rag_pipeline.ingest.store.lance import chunk_table, rows
from rag_pipeline.ingest.store.lance import store as store_module
from rag_pipeline.ingest.store.lance.store import LanceVectorStore
from rag_pipeline.ingest.types import SourceFile
from tests.ingest.store.samples import ANY, WIDTH, chunks, everything, file, vectors

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[4]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LanceVectorStore]:
    store = LanceVectorStore(tmp_path / "store", "model-a", WIDTH)
    yield store
    store.close()


def test_reading_an_empty_store_writes_nothing(tmp_path: Path, store: LanceVectorStore) -> None:
    assert store.search("anything", ANY) == []
    assert store.files("p") == {}
    store.delete("p", "none")
    assert list(tmp_path.iterdir()) == []


def test_the_caches_of_the_library_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "INDEX_CACHE_BYTES", 1 << 20)
    monkeypatch.setattr(store_module, "METADATA_CACHE_BYTES", 1 << 20)
    store = LanceVectorStore(tmp_path / "store", "model-a", WIDTH)
    for number in range(60):
        store.replace("p", file(f"{number}"), [(chunks(*(f"word{n} file{number}" for n in range(20))), vectors(20))])
    store.compact()
    assert store.search("file7", ANY, limit=1)[0].file_id == "7"
    # Without these limits it is 3.9 MiB here.
    assert store._session.size_bytes < 2 << 20
    store.close()


def test_compaction_drops_the_cache_of_older_versions(tmp_path: Path) -> None:
    store = LanceVectorStore(tmp_path / "store", "model-a", WIDTH, compact_every=20)
    sizes = []
    for turn in range(100):
        store.replace("p", file(f"{turn % 5}"), [(chunks(f"word{turn} text"), vectors(1))])
        if turn % 20 == 18:
            sizes.append(store._session.size_bytes)
    # Without a new session for each compaction it grew from 0.7 to 4.6 MB.
    assert max(sizes) < 1.5 * sizes[1]
    assert [hit.file_id for hit in store.search("word99", ANY, limit=1)] == ["4"]
    store.close()


def test_words_are_found_before_and_after_compaction_and_updates(store: LanceVectorStore) -> None:
    store.replace("p", file("a"), [(chunks("alpha beta"), vectors(1))])
    store.replace("p", file("b"), [(chunks("東京は日本の首都です"), vectors(1, 3))])
    for _ in range(2):
        assert store.search("東京", ANY, limit=1)[0].file_id == "b"
        assert store.search("beta", ANY, limit=1)[0].file_id == "a"
        store.compact()
    store.replace("p", file("a"), [(chunks("gamma"), vectors(1))])
    hit = store.search("beta gamma", ANY, limit=1)[0]
    assert hit.text == "gamma"


def test_leftovers_of_a_crash_between_two_commits_are_invisible(tmp_path: Path, store: LanceVectorStore) -> None:
    store.replace("p", file("a", "1"), [(chunks("old one", "old two"), vectors(2))])
    # The state after a crash: the new rows are added, the old ones not yet removed.
    table = store._table
    new = rows.build(table.schema, "p", file("a", "2"), 1 << 62, chunks("new one"), vectors(1))
    table.add(new)
    reader = LanceVectorStore(tmp_path / "store", "model-a", WIDTH)
    for seen in (store, reader):
        assert [hit.text for hit in everything(seen)] == ["new one"]
        assert [hit.text for hit in seen.search("old", ANY)] == ["new one"]
        assert seen.files("p")["a"].content_hash == "2"
    assert table.count_rows() == 5
    writer = LanceVectorStore(tmp_path / "store", "model-a", WIDTH)
    writer.replace("p", file("b"), [([], vectors(0))])
    table.checkout_latest()
    assert table.count_rows() == 3, "the next writer removes it"


def test_leftovers_of_a_crash_during_a_move_are_invisible(tmp_path: Path, store: LanceVectorStore) -> None:
    for name in "ab":
        store.replace("p", file(name), [(chunks(f"text of {name}"), vectors(1))])
    store.copy("p", "a", file("c"))
    # The state after a crash: the new file rows are added, the old ones not yet removed.
    table = store._table
    stored = {row["file_id"]: row for row in chunk_table.read_file_rows(table)}
    over = rows.FileVersion(file("b", "2"), 1 << 62, rows.content_of(stored["a"]), stored["a"]["generation"])
    table.add(rows.build_file_rows(table.schema, "p", [over]))
    reader = LanceVectorStore(tmp_path / "store", "model-a", WIDTH)
    for seen in (store, reader):
        assert sorted((hit.file_id, hit.text) for hit in everything(seen)) == [("b", "text of a"), ("c", "text of a")]
        assert {name: found.content_hash for name, found in seen.files("p").items()} == {"b": "2", "c": "h"}
    writer = LanceVectorStore(tmp_path / "store", "model-a", WIDTH)
    writer.replace("p", file("d"), [([], vectors(0))])
    table.checkout_latest()
    assert table.count_rows() == 3 + 1, "three heads and the chunk that two of them show"
    assert sorted(hit.file_id for hit in everything(writer)) == ["b", "c"]


def test_a_failed_removal_is_done_by_the_next_write(store: LanceVectorStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.replace("p", file("a"), [(chunks("text"), vectors(1))])
    table = store._table
    with monkeypatch.context() as patched:

        def fail(_: str) -> None:
            raise OSError(28, "No space left on device")

        patched.setattr(table, "delete", fail)
        with pytest.raises(StoreError, match="the disk is full"):
            store.move("p", "a", file("b"))
        with pytest.raises(StoreError, match="the disk is full"):
            store.delete("p", "b")
    assert set(store.files("p")) == {"b"}
    assert [hit.file_id for hit in everything(store)] == ["b"]
    store.delete("p", "b")
    assert table.count_rows() == 0


def test_a_table_of_format_1_is_read_and_upgraded(tmp_path: Path) -> None:
    import lancedb
    from lancedb.index import BTree

    columns = rows.schema("model-a", WIDTH)
    for name in rows.ADDED_COLUMNS:
        columns = columns.remove(columns.get_field_index(name))
    table = lancedb.connect(tmp_path / "store").create_table(store_module.TABLE, schema=columns)
    old = rows.build(rows.schema("model-a", WIDTH), "p", file("a"), 5, chunks("kept"), vectors(1))
    table.add(old.select(columns.names))
    table.create_index("file_id", config=BTree())
    store = LanceVectorStore(tmp_path / "store", "model-a", WIDTH)
    assert [hit.text for hit in everything(store)] == ["kept"]
    assert store.files("p") == {"a": file("a")}
    assert store.move("p", "a", file("b"))
    assert store.copy("p", "b", file("c")) == 1
    store.delete("p", "b")
    assert [(hit.file_id, hit.text) for hit in everything(store)] == [("c", "kept")]
    assert {column for index in store._table.list_indices() for column in index.columns} == {"terms", "generation"}
    store.close()


def test_many_removals_and_moves_take_few_commits(store: LanceVectorStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "FILES_AT_ONCE", 10)
    for number in range(30):
        store.replace("p", file(f"{number}"), [(chunks("text"), vectors(1))])
    before = store._table.version
    store.move_many("p", {f"{number}": file(f"new {number}") for number in range(30)})
    assert store._table.version == before + 1 + 3
    store.delete_many("p", [f"new {number}" for number in range(30)])
    assert store._table.version == before + 4 + 3
    assert store._table.count_rows() == 0


def test_disk_usage_is_bounded_over_many_replaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "KEEP_VERSIONS", timedelta(0))
    path = tmp_path / "store"
    store = LanceVectorStore(path, "model-a", WIDTH, compact_every=20)
    sizes = []
    for turn in range(121):
        store.replace("p", file(f"f{turn % 5}"), [(chunks("some text " * 50), vectors(1))])
        if turn % 20 == 19:
            sizes.append(sum(1 for entry in path.rglob("*") if entry.is_file()))
    # 50 to 80 files, depending on the time since the last removal of old versions; three times as many without it.
    assert sizes[-1] <= 2 * sizes[1]


@pytest.mark.parametrize("damage", ["truncate", "garbage", "remove"])
def test_a_damaged_folder_is_a_one_line_error(tmp_path: Path, store: LanceVectorStore, damage: str) -> None:
    store.replace("p", file("a"), [(chunks("text"), vectors(1))])
    store.close()
    for entry in (tmp_path / "store").rglob("*.manifest"):
        if damage == "truncate":
            os.truncate(entry, 3)
        elif damage == "garbage":
            entry.write_bytes(b"\xff" * 500)
        else:
            entry.unlink()
    with pytest.raises(StoreError) as caught:
        LanceVectorStore(tmp_path / "store", "model-a", WIDTH).files("p")
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "store") in str(caught.value)


def test_a_file_where_the_folder_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("no folder")
    with pytest.raises(StoreError, match="must be a folder"):
        LanceVectorStore(tmp_path / "store", "model-a", WIDTH)


def test_a_full_disk_is_a_one_line_error_and_loses_nothing(tmp_path: Path, store: LanceVectorStore) -> None:
    store.replace("p", file("a", "1"), [(chunks("kept"), vectors(1))])
    # A limit of 4 KB for files simulates a full disk: the write fails in the middle.
    code = f"""
import resource, sys
sys.path.insert(0, {str(ROOT)!r})
from rag_pipeline.errors import StoreError
from rag_pipeline.ingest.store.lance.store import LanceVectorStore
from tests.ingest.store.samples import *
store = LanceVectorStore({str(tmp_path / "store")!r}, "model-a", WIDTH)
store.files("p")
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    store.replace("p", file("a", "2"), [(chunks(*["new " * 2000] * 50), vectors(50))])
except StoreError as error:
    print(error)
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert answer.stdout.count("\n") == 1, answer.stderr
    assert "storing 'a' failed" in answer.stdout
    assert store.files("p")["a"].content_hash == "1"
    assert [hit.text for hit in everything(store)] == ["kept"]


def replace_together(store: LanceVectorStore, *writes: tuple[str, SourceFile, str]) -> dict[str, BaseException]:
    """Replace each file in its own thread, all waiting before the first commit; return the errors by text."""
    errors: dict[str, BaseException] = {}

    def replace(pipeline_id: str, new: SourceFile, text: str) -> None:
        try:
            store.replace(pipeline_id, new, [(chunks(text), vectors(1))])
        except StoreError as error:
            errors[text] = error

    threads = [threading.Thread(target=replace, args=write) for write in writes]
    with store._lock:
        for number, thread in enumerate(threads, 1):
            thread.start()
            for _ in range(6000):
                if len(store._group._waiting) == number:
                    break
                threading.Event().wait(0.01)
    for thread in threads:
        thread.join(60)
    return errors


def test_threads_that_write_at_once_share_a_commit(store: LanceVectorStore) -> None:
    store.replace("p", file("a"), [(chunks("old"), vectors(1))])
    before = store._table.version
    writes = [
        ("p", file("a", "1"), "one"),
        ("p", file("a", "2"), "two"),
        ("q", file("a"), "other"),
        ("p", file("b"), "b"),
    ]
    assert replace_together(store, *writes) == {}
    assert store._table.version == before + 2, "one commit that adds, and one that removes"
    assert sorted(hit.text for hit in everything(store)) == ["b", "other", "two"]
    assert store._table.count_rows() == 6
    marker = store._durable._read()
    assert marker is not None
    assert marker.version == store._table.version


def test_an_error_of_one_file_is_not_raised_for_others(store: LanceVectorStore) -> None:
    bad = SourceFile("bad", "bad", "file:///bad", "h", 1 << 70, "text/plain", 1.0)
    errors = replace_together(store, ("p", file("a"), "a"), ("p", bad, "bad"), ("p", file("c"), "c"))
    assert errors.keys() == {"bad"}
    assert "storing 'bad' failed" in str(errors["bad"])
    assert sorted(hit.text for hit in everything(store)) == ["a", "c"]


def test_a_commit_of_another_process_between_two_writes_is_noticed(tmp_path: Path, store: LanceVectorStore) -> None:
    store.replace("p", file("a", "1"), [(chunks("first"), vectors(1))])
    other = LanceVectorStore(tmp_path / "store", "model-a", WIDTH)
    other.replace("p", file("b", "1"), [(chunks("of the other"), vectors(1))])
    other.close()
    store.replace("p", file("b", "2"), [(chunks("second"), vectors(1))])
    assert sorted(hit.text for hit in everything(store)) == ["first", "second"]
    assert store._table.count_rows() == 4, "what the other process wrote is replaced"


def test_writing_a_new_file_does_not_scan_versions(store: LanceVectorStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.replace("p", file("a"), [(chunks("a"), vectors(1))])

    def look() -> None:
        raise AssertionError("looked through all versions")

    monkeypatch.setattr(store._table, "checkout_latest", look)
    store.replace("p", file("b"), [(chunks("b"), vectors(1))])


def test_old_versions_are_removed_only_once_they_are_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LanceVectorStore(tmp_path / "store", "model-a", WIDTH, compact_every=3)
    store.replace("p", file("a"), [(chunks("a"), vectors(1))])
    ages: list[timedelta] = []
    optimize = type(store._table).optimize

    def record(table: object, *, cleanup_older_than: timedelta) -> None:
        ages.append(cleanup_older_than)
        optimize(table, cleanup_older_than=cleanup_older_than)

    monkeypatch.setattr(type(store._table), "optimize", record)
    monkeypatch.setattr(store_module, "KEEP_VERSIONS", timedelta(hours=1))
    for number in range(9):
        store.replace("p", file(f"{number}"), [(chunks("b"), vectors(1))])
    assert [keep < timedelta(days=1) for keep in ages] == [False, True, False, False]
    store.compact()
    assert ages[-1] < timedelta(days=1), "when it is asked for"
    store.close()
