"""Reading order, on boxes like those of a recognised page."""

from __future__ import annotations

from rag_pipeline.ingest.extract.ocr.reading_order import TextLine, page_text


def line(left: float, top: float, width: float, text: str) -> TextLine:
    return TextLine(left, top, left + width, top + 20, text)


def test_lines_are_read_from_top_to_bottom() -> None:
    assert page_text([line(0, 60, 300, "second"), line(0, 0, 300, "first")]) == "first\nsecond"
    assert page_text([]) == ""


def test_cells_side_by_side_are_one_line() -> None:
    cells = [line(400, 3, 60, "12.50"), line(0, 0, 200, "Coffee"), line(0, 40, 200, "Tea"), line(400, 38, 60, "9.00")]
    assert page_text(cells) == "Coffee\t12.50\nTea\t9.00"


def test_a_long_cell_beside_a_short_one_stays_in_its_row() -> None:
    cells = [line(0, 0, 700, "A long description of the article"), line(900, 0, 60, "12.50"), line(0, 40, 100, "Tea")]
    assert page_text(cells) == "A long description of the article\t12.50\nTea"


def test_columns_of_prose_are_read_one_by_one() -> None:
    left = [line(0, 40 + 30 * i, 400, f"left {i}") for i in range(5)]
    right = [line(450, 40 + 30 * i, 400, f"right {i}") for i in range(5)]
    title = line(100, 0, 650, "A title over both")
    mixed = [part for pair in zip(left, right, strict=True) for part in pair]
    expected = ["A title over both", *(f"left {i}" for i in range(5)), *(f"right {i}" for i in range(5))]
    assert page_text([*mixed, title]).splitlines() == expected
