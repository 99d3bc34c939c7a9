"""Parts of a workbook beside its sheets."""

from __future__ import annotations

import io

import pytest

from rag_pipeline.ingest.extract.readers.excel_parts import (
    CellStyles,
    Comments,
    Drawing,
    SharedStrings,
    SheetEntry,
    TableParts,
    Workbook,
    decode_escapes,
    is_true,
)
from rag_pipeline.ingest.extract.xml_parser import XmlHandler, parse_xml


def parse(handler: XmlHandler, xml: str) -> None:
    parse_xml(io.BytesIO(xml.encode()), handler)


def test_the_workbook_lists_its_sheets() -> None:
    workbook = Workbook()
    parse(
        workbook,
        '<workbook xmlns:r="urn:r"><workbookPr date1904="true"/><sheet name="A" id="9" r:id="r1"/>'
        '<sheet name="B" state="hidden" r:id="r2"/></workbook>',
    )
    assert workbook.sheets == [SheetEntry("A", "r1", False), SheetEntry("B", "r2", True)]
    assert workbook.from_1904


def test_readings_are_no_part_of_a_string() -> None:
    strings = SharedStrings()
    parse(strings, "<sst><si><t>東京</t><rPh><t>トウキョウ</t></rPh></si><si/></sst>")
    assert strings.strings == ["東京", ""]


def test_styles_have_formats() -> None:
    styles = CellStyles()
    parse(
        styles,
        '<s><numFmts><numFmt numFmtId="14" formatCode="0"/></numFmts><xf numFmtId="9"/><cellXfs><xf numFmtId="14"/>'
        '<xf numFmtId="22"/><xf numFmtId="x"/></cellXfs><cellStyles><xf numFmtId="9"/></cellStyles></s>',
    )
    assert [style.is_date for style in styles.formats] == [False, True, False]


def test_comments_are_kept_by_cell() -> None:
    comments = Comments()
    parse(comments, '<c><comment ref="A1"><text><t>one</t><t> two</t></text></comment><comment ref="B1"/></c>')
    assert comments.texts == {"A1": ["one two"]}


def test_a_fallback_of_a_drawing_is_not_read_twice() -> None:
    drawing = Drawing()
    parse(drawing, "<d><Choice><p><t>a</t><br/><t>b</t></p></Choice><Fallback><p><t>a b</t></p></Fallback></d>")
    assert drawing.lines == ["a b"]


@pytest.mark.parametrize(("text", "right"), [("a_x000A_b", "a\nb"), ("snake_xy", "snake_xy"), ("_x005F_", "_")])
def test_escapes_are_decoded(text: str, right: str) -> None:
    assert decode_escapes(text) == right


def test_true_has_several_names() -> None:
    assert [is_true(value) for value in ("1", "true", "0", None)] == [True, True, False, False]


def test_tables_end_where_no_other_goes_on_beside_them() -> None:
    tables = TableParts()
    for ref in ("A1:B3", "D2:E9", "A12:B14", "A20:zz"):
        parse(tables, f'<table ref="{ref}"><autoFilter ref="A1:B2"/></table>')
    assert tables.last_rows() == {9, 14}
