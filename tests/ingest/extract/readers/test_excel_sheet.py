"""The rows of Excel sheets."""

from __future__ import annotations

from rag_pipeline.ingest.extract.read_options import ReadOptions
from rag_pipeline.ingest.extract.readers.excel_sheet import column_index, merged_rows
from rag_pipeline.ingest.extract.zip_archive import ZipArchive
from tests.ingest.extract.makers import input_file, make_xlsx, make_zip, read_text, warnings


def row(number: int, *cells: str, more: str = "") -> str:
    content = "".join(
        f'<c r="{letter}{number}" t="inlineStr"><is><t>{cell}</t></is></c>'
        for letter, cell in zip("ABCDEF", cells, strict=False)
        if cell
    )
    return f'<row r="{number}" {more}>{content}</row>'


def test_columns_have_letters() -> None:
    assert [column_index(letters) for letters in ("A", "Z", "AA", "XFD")] == [0, 25, 26, 16383]


def test_hidden_rows_and_columns_are_left_out_or_marked() -> None:
    rows = row(1, "Name", "Age", "Pay") + row(2, "Ann", "41", "90") + row(3, "Bob", "52", "80", more='hidden="1"')
    rows += row(4, "Cleo", "33", "70")
    data = make_xlsx(rows, around=('<cols><col min="3" max="3" hidden="1"/></cols>', ""))
    assert read_text(data).splitlines() == ["Name | Age", "Name: Ann | Age: 41", "Name: Cleo | Age: 33"]
    assert warnings(data)[0] == "hidden sheets, rows or columns are left out"
    shown = read_text(data, options=ReadOptions(hidden=True)).splitlines()
    assert shown == [
        "Name | Age | [hidden] Pay",
        "Name: Ann | Age: 41 | [hidden] Pay: 90",
        "[hidden] Name: Bob | Age: 52 | [hidden] Pay: 80",
        "Name: Cleo | Age: 33 | [hidden] Pay: 70",
    ]


def test_a_cell_over_several_rows_belongs_to_each() -> None:
    rows = (
        row(1, "Region", "City", "Sales")
        + row(2, "North", "Oslo", "5")
        + row(3, "", "Bergen", "4")
        + row(4, "", "Rome", "9")
    )
    data = make_xlsx(rows, around=("", '<mergeCells><mergeCell ref="A2:A3"/><mergeCell ref="E1:F9"/></mergeCells>'))
    assert read_text(data).splitlines()[1:] == [
        "Region: North | City: Oslo | Sales: 5",
        "Region: North | City: Bergen | Sales: 4",
        "City: Rome | Sales: 9",
    ]


def test_merged_cells_are_found_across_blocks() -> None:
    filler = "x" * 65_530
    part = f'<worksheet>{filler}<x:mergeCell ref="B2:B5"/><mergeCell ref="C1:C2"/></worksheet>'
    archive = ZipArchive(input_file(make_zip({"sheet.xml": part})))
    assert merged_rows(archive, "sheet.xml") == ({(1, 2): 5, (2, 1): 2}, frozenset())


def test_a_filter_stands_on_the_header() -> None:
    rows = row(1, "Name", "Dept") + row(2, "Ann", "A") + row(3, "Bob", "B")
    data = make_xlsx(rows, around=("", '<autoFilter ref="A1:B3"/>'))
    assert read_text(data).splitlines()[1:] == ["Name: Ann | Dept: A", "Name: Bob | Dept: B"]


def test_formulas_without_a_stored_result_are_a_warning() -> None:
    data = make_xlsx('<row r="1"><c r="A1"><f>SUM(B1:B9)</f></c><c r="B1"><v>7</v></c></row>')
    assert read_text(data) == "7"
    assert warnings(data) == ["formulas whose results are not stored are left out"]
