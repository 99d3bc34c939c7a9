"""The lists and styles of Word documents before 2007."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.ingest.extract.readers.word_lists import LIST, LIST_LEVEL, OUTLINE, WordLists, properties


def level(text: str, number_format: int = 0, start: int = 1) -> bytes:
    head = struct.pack("<IBB9s", start, number_format, 0, bytes(9)) + bytes(13)
    assert len(head) == 28
    return head + struct.pack("<H", len(text)) + text.encode("utf-16-le")


def style(base: int, grpprl: bytes) -> bytes:
    name = struct.pack("<H", 1) + "x\0".encode("utf-16-le")
    entry = struct.pack("<HHHHH", 0, base << 4 | 1, 0, 0, 0) + name
    return entry + struct.pack("<HH", len(grpprl) + 2, 0) + grpprl


def numbered(list_number: int, list_level: int) -> bytes:
    return struct.pack("<HH", LIST, list_number) + struct.pack("<HB", LIST_LEVEL, list_level)


LISTS = struct.pack("<H", 1) + struct.pack("<I", 77) + bytes(22) + b"\0\0"
LEVELS = level("\x00.") + level("\x00.\x01", 4) + b"".join(level("-", 23) for _ in range(7))
USES = struct.pack("<I", 2) + b"".join(struct.pack("<I8xB3x", 77, count) for count in (0, 1))
OVERRIDES = bytes(4) + bytes(4) + struct.pack("<II", 7, 0x10)
STYLES = [style(0xFFF, struct.pack("<HB", OUTLINE, 2)), style(0, numbered(1, 1))]
TABLE = struct.pack("<HHHH", 6, len(STYLES), 10, 0) + b"".join(
    struct.pack("<H", len(entry)) + entry for entry in STYLES
)


def lists() -> WordLists:
    tables = {0xA2: (TABLE, len(TABLE)), 0x2E2: (LISTS + LEVELS, len(LISTS)),
              0x2EA: (USES + OVERRIDES, len(USES + OVERRIDES))}  # fmt: skip
    return WordLists(tables.__getitem__)


def test_paragraphs_of_lists_are_counted() -> None:
    found = lists()
    values = [(1, 0), (1, 1), (1, 1), (1, 0), (2, 0), (1, 2), (9, 0), (0, 0)]
    labels = [found.label({LIST: number, LIST_LEVEL: at}) for number, at in values]
    assert labels == ["1.", "1.a", "1.b", "2.", "7.", "•", "", ""]


def test_styles_give_properties_and_those_of_their_base() -> None:
    found = lists()
    assert dict(found.resolve(1)) == {OUTLINE: 2, LIST: 1, LIST_LEVEL: 1}
    assert dict(found.resolve(99)) == {}


def test_properties_of_all_sizes_are_passed_over() -> None:
    data = struct.pack("<HB", 0x0800, 1) + struct.pack("<HI", 0x6A03, 5) + struct.pack("<HB3s", 0xCA47, 3, b"abc")
    assert properties(data + struct.pack("<HH", LIST, 3)) == {0x0800: 1, LIST: 3}


@given(st.binary(max_size=200), st.integers(0, 200))
def test_damaged_tables_count_as_missing(data: bytes, size: int) -> None:
    assert WordLists(lambda _: (data, size)).label({}) == ""
    properties(data)
