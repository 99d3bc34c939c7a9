"""Binary workbooks of Excel 2007."""

from __future__ import annotations

import struct

import pytest

from rag_pipeline.errors import CorruptFileError
from rag_pipeline.ingest.extract.read_options import ReadOptions
from tests.ingest.extract.makers import make_zip, read, read_text, warnings

RELATION = '<Relationship Id="{}" Type="x/{}" Target="{}"/>'


def record(kind: int, content: bytes = b"") -> bytes:
    head = bytes([kind]) if kind < 0x80 else bytes([kind & 0x7F | 0x80, kind >> 7])
    size = len(content)
    while size >= 0x80:
        head += bytes([size & 0x7F | 0x80])
        size >>= 7
    return head + bytes([size]) + content


def string(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode("utf-16-le")


def cell(kind: int, column: int, content: bytes, style: int = 0) -> bytes:
    return record(kind, struct.pack("<II", column, style) + content)


def row(number: int, *, hidden: bool = False) -> bytes:
    return record(0, struct.pack("<IIHBB", number, 0, 300, 0, 0x10 if hidden else 0))


def make(sheet: bytes, state: int = 0, target: str = "sheet1.bin") -> bytes:
    styles = (
        record(44, struct.pack("<H", 170) + string("dd.mm.yyyy"))
        + record(617)
        + b"".join(record(47, struct.pack("<HH", 0, number)) for number in (0, 170, 10))
        + record(618)
    )
    book = record(153, bytes(8)) + record(156, struct.pack("<II", state, 1) + string("s1") + string("Fees"))
    relations = [("s1", "worksheet", target), ("t", "sharedStrings", "strings.bin"), ("f", "styles", "styles.bin")]
    return make_zip(
        {
            "[Content_Types].xml": '<Types><Override ContentType="application/vnd.ms-excel.sheet.binary.'
            'macroEnabled.main"/></Types>',
            "_rels/.rels": f"<R>{RELATION.format('r', 'officeDocument', 'xl/workbook.bin')}</R>",
            "xl/_rels/workbook.bin.rels": f"<R>{''.join(RELATION.format(*entry) for entry in relations)}</R>",
            "xl/workbook.bin": book,
            "xl/styles.bin": styles,
            "xl/strings.bin": record(19, b"\0" + string("Pier")) + record(19, b"\0" + string("Since")),
            "xl/sheet1.bin": sheet,
        }
    )


SHEET = (
    record(60, struct.pack("<IIIIH", 3, 3, 2000, 0, 1))
    + row(0)
    + cell(7, 0, struct.pack("<I", 0))
    + cell(7, 1, struct.pack("<I", 1))
    + cell(6, 2, string("Share"))
    + cell(6, 3, string("Secret"))
    + row(1)
    + cell(6, 0, string("Süd"))
    + cell(5, 1, struct.pack("<d", 45413), 1)
    + cell(2, 2, struct.pack("<I", (25 << 2) | 3), 2)
    + cell(2, 3, struct.pack("<I", 7 << 2 | 2))
    + row(2, hidden=True)
    + cell(8, 0, string("Nord"))
    + cell(4, 1, b"\x01")
    + cell(3, 2, b"\x2a")
)


def test_values_are_shown() -> None:
    data = make(SHEET)
    assert read(data) == [
        ("sheet Fees, rows 1-2", "Pier | Since | Share\nPier: Süd | Since: 01.05.2024 | Share: 25.00%")
    ]
    assert warnings(data) == ["hidden sheets, rows or columns are left out"]


def test_options_bring_in_what_is_hidden() -> None:
    text = read_text(make(SHEET, state=1), options=ReadOptions(hidden=True))
    assert "[hidden] Secret: 7" in text
    assert "[hidden] Pier: Nord | Since: TRUE | Share: #N/A" in text


def test_a_missing_sheet_is_a_warning() -> None:
    assert warnings(make(SHEET, target="gone.bin")) == ["sheet Fees is missing from the file"]


@pytest.mark.parametrize("sheet", [cell(7, 0, b""), record(0, b"x"), record(5, b"")])
def test_short_records_are_damage(sheet: bytes) -> None:
    with pytest.raises(CorruptFileError, match="too short"):
        read(make(sheet))


def test_an_endless_record_is_damage() -> None:
    with pytest.raises(CorruptFileError, match="too large"):
        read(make(b"\x06\xff\xff\xff\x7f" + bytes(100)))
