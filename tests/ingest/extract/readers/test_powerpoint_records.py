"""The records of presentations before 2007."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.errors import CorruptFileError
from rag_pipeline.ingest.extract.readers.powerpoint_records import RecordStream, current_edit


def record(kind: int, content: bytes, *, instance: int = 0, container: bool = False) -> bytes:
    return struct.pack("<HHI", instance << 4 | (15 if container else 0), kind, len(content)) + content


def edit(previous: int, directory: int) -> bytes:
    return record(4085, struct.pack("<IIIIIII", 0, 0, previous, directory, 1, 0, 0))


def directory(first: int, *places: int) -> bytes:
    return record(6002, struct.pack(f"<I{len(places)}I", len(places) << 20 | first, *places))


def test_the_newest_place_of_an_object_counts() -> None:
    old = directory(1, 100, 200)
    data = bytes(8) + old + (first := edit(0, 8)) + directory(2, 300) + edit(8 + len(old), 8 + len(old) + len(first))
    newest = len(data) - 36
    assert RecordStream(data).objects(newest) == ({1: 100, 2: 300}, 1)


def test_edits_in_a_circle_end() -> None:
    data = bytes(8) + directory(1, 5) + edit(24, 8)
    assert RecordStream(data).objects(24) == ({1: 5}, 1)


def test_a_file_without_a_list_is_damaged() -> None:
    with pytest.raises(CorruptFileError, match="list of its slides"):
        RecordStream(bytes(100)).objects(50)
    with pytest.raises(CorruptFileError, match="newest version"):
        current_edit(b"short")


def test_the_current_user_tells_of_encryption() -> None:
    assert current_edit(bytes(12) + struct.pack("<II", 0xF3D1C4DF, 77)) == (77, True)


@given(st.binary(max_size=300), st.integers(0, 300))
def test_any_bytes_can_be_walked(data: bytes, place: int) -> None:
    stream = RecordStream(data)
    root = stream.record(place)
    if root is not None:
        assert sum(8 for _ in stream.children(root)) <= len(data)
