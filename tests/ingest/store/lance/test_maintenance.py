"""Maintenance of a LanceDB table: leftovers, faults, and removal of deleted text from disk."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rag_pipeline.ingest.store.lance import maintenance, rows
from rag_pipeline.ingest.store.lance.store import LanceVectorStore
from rag_pipeline.ingest.types import StoreFault, StoreFaultKind
from tests.ingest.store.samples import WIDTH, chunks, everything, file, vectors

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def quick_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "READER_SECONDS", 1.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(folder: Path) -> Iterator[LanceVectorStore]:
    made = LanceVectorStore(folder, "model-a", WIDTH)
    made.replace("papers", file("a"), [(chunks("heron", "reeds"), vectors(2))])
    yield made
    made.close()


def add(store: LanceVectorStore, file_id: str, generation: int, *texts: str, head: bool = True) -> None:
    """Add rows as a writer that is killed right afterwards."""
    table = store._table
    made = rows.build(table.schema, "papers", file(file_id), generation, chunks(*texts), vectors(len(texts)))
    table.add(made if head else made.slice(1))


def without_vectors(made: Any, schema: Any) -> Any:
    import pyarrow as pa

    return made.set_column(
        made.schema.get_field_index("vector"), schema.field("vector"), pa.nulls(len(made), schema.field("vector").type)
    )


def holding(folder: Path, text: bytes) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and text in path.read_bytes()]


def test_an_older_generation_is_a_leftover_and_tidy_removes_it(store: LanceVectorStore) -> None:
    add(store, "a", 7, "an old text")
    assert store.faults() == [
        StoreFault("papers", "a", StoreFaultKind.CHUNKS_WITHOUT_FILE, 1),
        StoreFault("papers", "a", StoreFaultKind.REPLACED_ROWS, 1),
    ]
    assert store.pipelines()["papers"].chunks == 2
    store.tidy()
    assert store.faults() == []
    assert sorted(hit.text for hit in everything(store)) == ["heron", "reeds"]


@pytest.mark.parametrize("generation", [7, 1 << 62])
def test_chunks_without_a_file_row_are_leftovers(store: LanceVectorStore, generation: int) -> None:
    add(store, "b", generation, "lost", "too", head=False)
    assert store.faults() == [StoreFault("papers", "b", StoreFaultKind.CHUNKS_WITHOUT_FILE, 2)]
    assert (store.pipelines()["papers"].files, store.pipelines()["papers"].chunks) == (1, 2)
    store.tidy()
    assert store.faults() == []
    assert list(store.files("papers")) == ["a"]


def test_chunks_newer_than_the_file_row_are_leftovers(store: LanceVectorStore) -> None:
    add(store, "a", 1 << 62, "from nowhere", head=False)
    assert store.faults() == [StoreFault("papers", "a", StoreFaultKind.CHUNKS_WITHOUT_FILE, 1)]


def test_a_missing_chunk_and_a_missing_vector_are_found(store: LanceVectorStore) -> None:
    store._table.delete("file_id = 'a' AND chunk = 0")
    made = rows.build(store._table.schema, "papers", file("c"), 9, chunks("no vector"), vectors(1))
    store._table.add(without_vectors(made, store._table.schema))
    assert store.faults() == [
        StoreFault("papers", "a", StoreFaultKind.MISSING_CHUNKS, 1),
        StoreFault("papers", "c", StoreFaultKind.WRONG_VECTORS, 1),
    ]


def test_a_pipeline_with_only_leftovers_is_listed_and_can_be_dropped(store: LanceVectorStore) -> None:
    store._table.delete("chunk = -1")
    assert store.pipelines()["papers"].files == 0
    store.drop("papers")
    assert store.pipelines() == {}


def add_file_row(store: LanceVectorStore, file_id: str, generation: int, content: int, replaces: int | None) -> None:
    """Add a file row as a writer that is killed right after a move or copy."""
    table = store._table
    table.add(
        rows.build_file_rows(table.schema, "papers", [rows.FileVersion(file(file_id), generation, content, replaces)])
    )


def generation_of(store: LanceVectorStore, file_id: str) -> int:
    head = store._table.search().where(f"file_id = '{file_id}' AND chunk = -1").select(["generation"]).to_arrow()
    return int(head["generation"][0].as_py())


def keys(store: LanceVectorStore) -> list[tuple[str, int]]:
    """Return the file id and the number of every row, -1 for a file row."""
    found = store._table.search().select(["file_id", "chunk"]).limit(1000).to_arrow().to_pylist()
    return sorted((row["file_id"], row["chunk"]) for row in found)


@pytest.mark.parametrize("killed", [False, True], ids=["removed", "killed before"])
def test_a_replaced_file_row_is_a_leftover_but_its_shared_chunks_are_not(store: LanceVectorStore, killed: bool) -> None:
    store.copy("papers", "a", file("copy"))
    if killed:
        number = generation_of(store, "a")
        add_file_row(store, "moved", 1 << 62, number, number)
    else:
        store.move("papers", "a", file("moved"))
    expected = [StoreFault("papers", "a", StoreFaultKind.REPLACED_ROWS, 1)] if killed else []
    assert store.faults() == expected
    assert (store.pipelines()["papers"].files, store.pipelines()["papers"].chunks) == (2, 4)
    store.tidy()
    assert store.faults() == []
    assert keys(store) == [("a", 0), ("a", 1), ("copy", -1), ("moved", -1)]
    assert sorted(hit.file_id for hit in everything(store)) == ["copy", "copy", "moved", "moved"]


def test_chunks_of_a_replaced_file_are_leftovers_once_no_copy_has_them(store: LanceVectorStore) -> None:
    store.copy("papers", "a", file("copy"))
    add(store, "a", 1 << 62, "new")
    assert store.faults() == [StoreFault("papers", "a", StoreFaultKind.REPLACED_ROWS, 1)]
    add(store, "copy", (1 << 62) + 1, "newer")
    assert store.faults() == [
        StoreFault("papers", "a", StoreFaultKind.CHUNKS_WITHOUT_FILE, 2),
        StoreFault("papers", "a", StoreFaultKind.REPLACED_ROWS, 1),
        StoreFault("papers", "copy", StoreFaultKind.REPLACED_ROWS, 1),
    ]
    store.tidy()
    assert store.faults() == []
    assert keys(store) == [("a", -1), ("a", 0), ("copy", -1), ("copy", 0)]


def test_a_chain_of_replaced_file_rows_is_removed_oldest_first(
    store: LanceVectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = generation_of(store, "a")
    add_file_row(store, "c", first + 2, first, first + 1)
    add_file_row(store, "b", first + 1, first, first)
    assert [fault.file_id for fault in store.faults()] == ["a", "b"]
    monkeypatch.setattr(maintenance, "_GENERATIONS_AT_ONCE", 1)
    delete = store._table.delete
    seen: list[list[str]] = []

    def delete_and_look(where: str) -> None:
        delete(where)
        seen.append([head["file_id"] for head in maintenance._read_keys(store._table).files])

    monkeypatch.setattr(store._table, "delete", delete_and_look)
    store.tidy()
    assert seen == [["c"]] * 2
    assert store.faults() == []
    assert set(store.files("papers")) == {"c"}


def test_missing_chunks_and_vectors_are_reported_for_every_file_that_has_them(store: LanceVectorStore) -> None:
    store.copy("papers", "a", file("copy"))
    made = rows.build(store._table.schema, "papers", file("c"), 9, chunks("no vector"), vectors(1))
    store._table.add(without_vectors(made, store._table.schema))
    store.copy("papers", "c", file("d"))
    store.move("papers", "c", file("e"))
    store._table.delete("file_id = 'a' AND chunk = 0")
    assert store.faults() == [
        StoreFault("papers", "a", StoreFaultKind.MISSING_CHUNKS, 1),
        StoreFault("papers", "copy", StoreFaultKind.MISSING_CHUNKS, 1),
        StoreFault("papers", "d", StoreFaultKind.WRONG_VECTORS, 1),
        StoreFault("papers", "e", StoreFaultKind.WRONG_VECTORS, 1),
    ]


def test_equal_generations_of_two_pipelines_are_kept_apart(store: LanceVectorStore) -> None:
    number = generation_of(store, "a")
    lost = rows.build_chunk_rows(store._table.schema, "diary", "a", number, chunks("lost"), vectors(1))
    store._table.add(lost)
    assert store.faults() == [StoreFault("diary", "a", StoreFaultKind.CHUNKS_WITHOUT_FILE, 1)]
    store.tidy()
    assert keys(store) == [("a", -1), ("a", 0), ("a", 1)]


def test_a_table_of_format_1_is_counted_and_checked_without_a_write(folder: Path) -> None:
    import lancedb

    columns = rows.schema("model-a", WIDTH)
    for name in rows.ADDED_COLUMNS:
        columns = columns.remove(columns.get_field_index(name))
    table = lancedb.connect(folder).create_table("chunks", schema=columns)
    for generation, text in ((5, "old"), (6, "new")):
        made = rows.build(rows.schema("model-a", WIDTH), "papers", file("a"), generation, chunks(text), vectors(1))
        table.add(made.select(columns.names))
    before = table.version
    store = LanceVectorStore(folder, "model-a", WIDTH)
    assert (store.pipelines()["papers"].files, store.pipelines()["papers"].chunks) == (1, 1)
    assert {fault.kind for fault in store.faults()} == {
        StoreFaultKind.CHUNKS_WITHOUT_FILE, StoreFaultKind.REPLACED_ROWS
    }  # fmt: skip
    assert lancedb.connect(folder).open_table("chunks").version == before
    store.tidy()
    assert store.faults() == []
    assert [hit.text for hit in everything(store)] == ["new"]
    store.close()


@pytest.mark.parametrize("others", [0, 60])
def test_the_text_of_a_dropped_pipeline_is_removed_from_disk(
    store: LanceVectorStore, folder: Path, others: int
) -> None:
    for number in range(others):
        store.replace("papers", file(f"{number}"), [(chunks(f"reed {number}"), vectors(1))])
    store.replace("diary", file("secret"), [(chunks("zzyzx"), vectors(1))])
    store.copy("diary", "secret", file("copy"))
    store.move("diary", "secret", file("moved"))
    store.compact()  # so that the text is among many others, in one file
    assert holding(folder, b"zzyzx")
    store.drop("diary")
    store.tidy()
    assert holding(folder, b"zzyzx") == []
    assert len(store.files("papers")) == 1 + others


def test_tidy_merges_small_files_and_removes_old_versions(store: LanceVectorStore, folder: Path) -> None:
    for number in range(20):
        store.replace("papers", file(f"{number % 3}", str(number)), [(chunks(f"reed {number}"), vectors(1))])
    before = len(list(folder.rglob("*.lance")))
    store.tidy()
    assert len(store._table.list_versions()) == 1
    assert len(list(folder.rglob("data/*.lance"))) == 1 < before
    assert len(store.files("papers")) == 4


def test_a_search_that_began_before_tidy_can_finish(
    store: LanceVectorStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        store.replace("papers", file("a", str(number)), [(chunks(f"heron {number}"), vectors(1))])
    before = set(folder.rglob("data/*.lance"))
    optimize = maintenance.optimize
    calls: list[tuple[float, timedelta]] = []

    def optimize_and_look(table: Any, keep: timedelta) -> None:
        calls.append((time.monotonic(), keep))
        optimize(table, keep)
        assert before <= set(folder.rglob("data/*.lance")) or len(calls) == 3

    monkeypatch.setattr(maintenance, "optimize", optimize_and_look)
    store.tidy()
    assert before - set(folder.rglob("data/*.lance"))
    _, (merged, _), (removed, keep) = calls
    assert removed - merged >= keep.total_seconds() == maintenance.READER_SECONDS
