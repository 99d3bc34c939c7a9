"""OLE containers, whole and damaged."""

from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_pipeline.errors import CorruptFileError
from rag_pipeline.ingest.extract.ole_container import OleContainer, read_properties
from tests.ingest.extract.makers import input_file, make_ole_file

DATA = make_ole_file({"Workbook": b"words", "Other": b"x" * 9000})


def test_streams_are_found_in_any_case() -> None:
    container = OleContainer(input_file(DATA))
    assert container.has("missing", "WORKBOOK")
    assert not container.has("missing")
    assert container.read("workbook").startswith(b"words\0")
    assert container.properties() == {}


def test_a_missing_stream_is_damage() -> None:
    with pytest.raises(CorruptFileError, match="its stream Data is missing"):
        OleContainer(input_file(DATA)).read("Data")


@settings(max_examples=60)
@given(st.integers(0, 1600), st.binary(min_size=1, max_size=8))
def test_damage_ends_in_damage(place: int, junk: bytes) -> None:
    data = bytearray(DATA)
    data[place : place + len(junk)] = junk
    with suppress(CorruptFileError):  # any other exception is a fault
        container = OleContainer(input_file(bytes(data)))
        container.properties()
        container.read("Other")


def properties(*entries: tuple[int, int, bytes], count: int | None = None) -> bytes:
    """Return a stream of properties: of each its number, its type, and its length with its content."""
    offset, table, content = 8 + 8 * len(entries), b"", b""
    for number, kind, value in entries:
        table += struct.pack("<II", number, offset + len(content))
        content += struct.pack("<I", kind) + value
    section = struct.pack("<II", offset + len(content), len(entries) if count is None else count) + table + content
    return bytes(44) + struct.pack("<I", 48) + section


def text(value: bytes, length: int | None = None) -> bytes:
    return struct.pack("<I", len(value) if length is None else length) + value


def test_properties_are_read_in_their_code_page() -> None:
    codepage = (1, 2, struct.pack("<I", 1251))
    title, author = (2, 30, text("Отчёт\0".encode("cp1251"))), (4, 31, text("Łódź\0".encode("utf-16-le"), 5))
    data = make_ole_file({"\x05SummaryInformation": properties(codepage, title, author, (9, 30, text(b"other")))})
    assert OleContainer(input_file(data)).properties() == {"title": "Отчёт", "author": "Łódź"}


def test_damaged_properties_count_as_missing() -> None:
    endless = properties((2, 30, text(b"x", 0xFFFFFFFF)), (3, 0x101E, text(b"", 0xFFFFFFFF)), count=0xFFFFFFFF)
    data = make_ole_file({"\x05SummaryInformation": endless})
    assert set(OleContainer(input_file(data)).properties()) <= {"title"}
    with pytest.raises(struct.error):
        read_properties(b"short")
