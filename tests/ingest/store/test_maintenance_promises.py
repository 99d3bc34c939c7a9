"""The maintenance promises of every store."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from rag_pipeline.ingest.store.lance import maintenance
from rag_pipeline.ingest.types import MaintainableStore
from tests.ingest.store.samples import chunks, everything, file, vectors
from tests.ingest.store.store_locations import StoreLocation


@pytest.fixture
def maintainable(location: StoreLocation, monkeypatch: pytest.MonkeyPatch) -> Iterator[MaintainableStore]:
    monkeypatch.setattr(maintenance, "READER_SECONDS", 0.5)
    store = location.open()
    yield store
    store.close()


def fill(store: MaintainableStore) -> None:
    store.replace("papers", file("a"), [(chunks("heron", "reeds"), vectors(2))])
    store.replace("papers", file("b"), [(chunks("otter"), vectors(1))])
    store.replace("it's\udce9", file("a"), [(chunks("kingfisher"), vectors(1))])


@pytest.mark.slow
def test_a_store_without_tables_has_no_pipelines_and_no_faults(maintainable: MaintainableStore) -> None:
    assert (maintainable.pipelines(), maintainable.faults()) == ({}, [])
    maintainable.drop("papers")
    maintainable.tidy()
    assert maintainable.pipelines() == {}


@pytest.mark.slow
def test_files_and_chunks_are_counted_by_pipeline(maintainable: MaintainableStore) -> None:
    began = time.time()
    fill(maintainable)
    maintainable.replace("papers", file("a", "new"), [(chunks("heron", "reeds", "mud"), vectors(3))])
    maintainable.replace("papers", file("empty"), [([], vectors(0))])
    found = maintainable.pipelines()
    assert {name: (one.files, one.chunks) for name, one in found.items()} == {"it's\udce9": (1, 1), "papers": (3, 4)}
    for one in found.values():
        assert one.changed_at is None or began - 1 <= one.changed_at <= time.time() + 1
        assert one.held_by is None


def test_drop_removes_all_of_one_pipeline_and_nothing_of_others(
    maintainable: MaintainableStore, location: StoreLocation
) -> None:
    fill(maintainable)
    maintainable.drop("it's\udce9")
    assert maintainable.files("it's\udce9") == {}
    assert sorted(hit.text for hit in everything(maintainable)) == ["heron", "otter", "reeds"]
    maintainable.drop("papers")
    assert (maintainable.pipelines(), everything(maintainable)) == ({}, [])
    other = location.open()
    assert other.pipelines() == {}
    other.close()


def test_a_dropped_pipeline_can_be_stored_again(maintainable: MaintainableStore) -> None:
    fill(maintainable)
    maintainable.drop("papers")
    maintainable.replace("papers", file("b"), [(chunks("otter again"), vectors(1))])
    assert sorted(hit.text for hit in everything(maintainable)) == ["kingfisher", "otter again"]


@pytest.mark.slow
def test_normal_writes_have_no_faults_and_tidy_keeps_them(maintainable: MaintainableStore) -> None:
    fill(maintainable)
    maintainable.replace("papers", file("b", "new"), [(chunks("otter", "holt"), vectors(2))])
    assert maintainable.faults() == []
    before = everything(maintainable)
    maintainable.tidy()
    assert maintainable.faults() == []
    assert everything(maintainable) == before


def change(store: MaintainableStore) -> None:
    """Move, copy, rename, replace and delete files; one file of each kind remains."""
    fill(store)
    store.move("papers", "a", file("moved"))
    store.move("papers", "moved", file("moved again"))
    store.copy_many("papers", [("b", file("copy")), ("b", file("other copy")), ("b", file("third copy"))])
    store.replace("papers", file("b", "new"), [(chunks("holt", "spraint"), vectors(2))])
    store.rename("papers", "copy", "another name", "another uri")
    store.move("papers", "other copy", file("moved copy"))
    store.replace("papers", file("a", "2"), [(chunks("mud"), vectors(1))])
    store.copy("it's\udce9", "a", file("b"))
    store.move_many("it's\udce9", {"a": file("b"), "b": file("a")})
    store.delete("papers", "third copy")


def shown(store: MaintainableStore) -> list[tuple[str, str]]:
    return sorted((hit.file_id, hit.text) for hit in everything(store))


LEFT = [
    ("a", "kingfisher"),
    ("a", "mud"),
    ("b", "holt"),
    ("b", "kingfisher"),
    ("b", "spraint"),
    ("copy", "otter"),
    ("moved again", "heron"),
    ("moved again", "reeds"),
    ("moved copy", "otter"),
]


def test_moved_copied_and_replaced_files_are_counted_as_a_search_finds_them(maintainable: MaintainableStore) -> None:
    change(maintainable)
    assert {name: (one.files, one.chunks) for name, one in maintainable.pipelines().items()} == {
        "it's\udce9": (2, 2),
        "papers": (5, 7),
    }


@pytest.mark.slow
def test_moved_copied_and_replaced_files_have_no_faults_and_tidy_keeps_them(
    maintainable: MaintainableStore, location: StoreLocation
) -> None:
    change(maintainable)
    assert (maintainable.faults(), shown(maintainable)) == ([], LEFT)
    before = everything(maintainable)
    files = {name: maintainable.files(name) for name in maintainable.pipelines()}
    maintainable.tidy()
    other = location.open()
    other.tidy()
    for store in (maintainable, other):
        assert (store.faults(), everything(store)) == ([], before)
        assert {name: store.files(name) for name in store.pipelines()} == files
    other.close()
    maintainable.move("papers", "copy", file("after"))
    maintainable.delete("papers", "moved copy")
    assert ("after", "otter") in shown(maintainable)
    maintainable.delete("papers", "after")
    assert "otter" not in {text for _, text in shown(maintainable)}
    assert maintainable.faults() == []


@pytest.mark.slow
def test_drop_removes_moved_and_copied_files_of_one_pipeline_only(maintainable: MaintainableStore) -> None:
    change(maintainable)
    maintainable.drop("papers")
    assert shown(maintainable) == [("a", "kingfisher"), ("b", "kingfisher")]
    assert (list(maintainable.pipelines()), maintainable.faults()) == (["it's\udce9"], [])
    maintainable.tidy()
    assert shown(maintainable) == [("a", "kingfisher"), ("b", "kingfisher")]
    maintainable.drop("it's\udce9")
    assert (maintainable.pipelines(), maintainable.faults(), shown(maintainable)) == ({}, [], [])
