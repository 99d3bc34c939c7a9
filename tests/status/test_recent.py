from __future__ import annotations

from rag_pipeline.status.files import key_of
from rag_pipeline.status.model import FileRecord
from rag_pipeline.status.outcomes import DELETED, PROCESSED
from rag_pipeline.status.recent import MOST, last_of_each, with_file, without


def files(*names: str) -> tuple[FileRecord, ...]:
    return tuple(FileRecord(name, None) for name in names)


def test_a_list_is_bounded_and_begins_with_the_oldest() -> None:
    listed = files()
    for n in range(30):
        listed = with_file(listed, FileRecord(f"f{n}", None), MOST[PROCESSED])
    assert [file.name for file in listed] == [f"f{n}" for n in range(20, 30)]
    assert with_file(listed, FileRecord("gone", None), MOST[DELETED]) == ()


def test_a_file_is_removed_by_its_identity() -> None:
    listed = (*files("a", "b"), FileRecord("a", "1"))
    assert without(listed, key_of("a", None)) == listed[1:]
    assert without(listed, key_of("other name", "1")) == listed[:2]


def test_the_newest_record_of_a_file_is_kept() -> None:
    records = [FileRecord(name, None, size) for size, name in enumerate("abcab")]
    assert [(file.name, file.size) for file in last_of_each(records, 2)] == [("a", 3), ("b", 4)]
