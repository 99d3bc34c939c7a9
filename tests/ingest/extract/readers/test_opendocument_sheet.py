"""Sheets of OpenDocument spreadsheets."""

from __future__ import annotations

from rag_pipeline.ingest.extract.read_options import ReadOptions
from tests.ingest.extract.makers import read, read_text, warnings
from tests.ingest.extract.readers.test_opendocument import make

FILLER = '<table:table-cell table:number-columns-repeated="16384"/>'


def cell(text: str, more: str = "") -> str:
    return f"<table:table-cell {more}><text:p>{text}</text:p></table:table-cell>"


def row(*cells: str, more: str = "") -> str:
    return f"<table:table-row {more}>{''.join(cells)}</table:table-row>"


def sheet(*rows: str, more: str = "") -> str:
    return f'<table:table table:name="Budget" {more}>{"".join(rows)}</table:table>'


def test_a_sheet_padded_to_its_edge_is_read() -> None:
    body = sheet(
        row(cell("Name"), cell("Days"), cell("Hours"), FILLER),
        row(cell("Holm"), cell("27", 'table:number-columns-repeated="2"'), FILLER),
        row(cell("Reyes"), cell("3"), cell("4")),
        row(FILLER, more='table:number-rows-repeated="1000"'),
        row(cell("a note")),
        row(FILLER, more='table:number-rows-repeated="1048576"'),
    )
    assert read(make("spreadsheet", body)) == [
        (
            "sheet Budget, rows 1-1004",
            "Name | Days | Hours\nName: Holm | Days: 27 | Hours: 27\nName: Reyes | Days: 3 | Hours: 4\na note",
        )
    ]


def test_values_without_text_repeated_rows_and_cells_over_rows() -> None:
    body = sheet(
        row('<table:table-cell office:value="12.5"/>', cell("x", 'table:number-rows-spanned="2"')),
        row(cell("y"), "<table:covered-table-cell/>"),
        row(cell("z"), more='table:number-rows-repeated="2"'),
    )
    assert read_text(make("spreadsheet", body)).splitlines() == ["12.5 | x", "y | x", "z", "z"]


def test_comments_and_drawings() -> None:
    comment = "<office:annotation><dc:creator>Ann</dc:creator><text:p>net</text:p></office:annotation>"
    shapes = "<table:shapes><draw:rect><text:p>See</text:p><text:p>note</text:p></draw:rect></table:shapes>"
    body = sheet(shapes, row(cell("Valve"), f"<table:table-cell>{comment}<text:p>12</text:p></table:table-cell>"))
    data = make("spreadsheet", body)
    assert read(data) == [
        ("sheet Budget, row 1", "Valve | 12\nComment on B1: net"),
        ("sheet Budget, drawings", "See note"),
    ]
    assert "net" not in read_text(data, options=ReadOptions(comments=False))


def test_hidden_sheets_rows_and_columns() -> None:
    styles = '<style:style style:name="H"><style:table-properties table:display="false"/></style:style>'
    columns = '<table:table-column/><table:table-column table:visibility="collapse"/>'
    body = sheet(
        columns,
        row(cell("Name"), cell("Pay"), cell("Age")),
        row(cell("Ann"), cell("9"), cell("41")),
        row(cell("Bob"), cell("8"), cell("52"), more='table:visibility="filter"'),
        row(cell("Cleo"), cell("7"), cell("33")),
    ) + sheet(row(cell("old")), more='table:style-name="H"')
    data = make("spreadsheet", body, styles)
    assert read_text(data).splitlines() == ["Name | Age", "Name: Ann | Age: 41", "Name: Cleo | Age: 33"]
    assert warnings(data) == ["hidden text, rows, columns, sheets or slides are left out"]
    shown = read_text(data, options=ReadOptions(hidden=True))
    assert "[hidden] Name: Bob | [hidden] Pay: 8 | Age: 52" in shown
    assert "old" in shown
