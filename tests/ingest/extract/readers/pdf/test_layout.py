"""Reading order: rows of tables are lines, and columns of prose are read one after the other."""

from __future__ import annotations

import random
import re

import pytest

from rag_pipeline.ingest.extract.readers.pdf.layout import reading_rows
from rag_pipeline.ingest.extract.readers.pdf.page_text import Fragment
from tests.ingest.extract.makers import read
from tests.ingest.extract.readers.pdf.makers import Placed, lines, placed

TABLE = [["Name", "Role", "Pay"], ["Ann", "Nurse", "100.00"], ["Bob", "Cook", "90.00"], ["Cleo", "", "120.00"]]
ROWS = ["Name Role Pay", "Ann Nurse 100.00", "Bob Cook 90.00", "Cleo 120.00"]
LEFT = [
    "The quick brown fox jumps over the lazy dog and",
    "runs back to the forest, where its young ones are",
    "waiting for food. The dog sleeps and dreams of",
    "bones and of the long summer days at the river,",
    "where children throw sticks into the water for it",
    "to fetch, again and again until evening falls.",
]
RIGHT = [line.replace("dog", "cat").replace("fox", "hen") for line in LEFT]


def read_lines(texts: list[Placed]) -> list[str]:
    """Return the lines of a page, with white space folded."""
    ((_, text),) = read(placed(texts))
    return [re.sub(r"\s+", " ", line) for line in text.splitlines()]


def cells(pitch: float = 20) -> list[list[Placed]]:
    """Return the table's rows of cells with their places."""
    return [
        [(x, 700 - pitch * number, text) for x, text in zip((72, 200, 400), row, strict=True) if text]
        for number, row in enumerate(TABLE)
    ]


@pytest.mark.parametrize("pitch", [14, 20, 45])
def test_a_table_drawn_column_by_column_is_read_row_by_row(pitch: float) -> None:
    by_column = sorted((cell for row in cells(pitch) for cell in row), key=lambda cell: (cell[0], -cell[1]))
    assert read_lines(by_column) == ROWS


def test_cells_drawn_from_right_to_left_are_in_order() -> None:
    assert read_lines([cell for row in cells() for cell in reversed(row)]) == ROWS


@pytest.mark.parametrize("seed", range(5))
def test_cells_drawn_in_any_order_are_rows(seed: int) -> None:
    scattered = [cell for row in cells() for cell in row]
    random.Random(seed).shuffle(scattered)
    assert read_lines(scattered) == ROWS


def test_the_text_around_a_table_stays_around_it() -> None:
    by_column = sorted((cell for row in cells() for cell in row), key=lambda cell: (cell[0], -cell[1]))
    above, below = "All people of the ward, in the order of their names, are listed here.", "They work in two shifts."
    assert read_lines([(72, 740, above), *by_column, (72, 600, below)]) == [above, *ROWS, below]


@pytest.mark.parametrize("top", [700, 686, 693])
def test_a_row_is_one_line_though_a_cell_has_several(top: float) -> None:
    note = lines(["Meals are included if the hotel", "serves breakfast and the guest", "stays two nights"], x=300)
    row = [(72.0, top, "Norway"), (200.0, top, "48 EUR"), *note]
    following = [(72.0, 640.0, "Spain"), (200.0, 640.0, "39 EUR"), (300.0, 640.0, "None")]
    expected = "Norway 48 EUR Meals are included if the hotel serves breakfast and the guest stays two nights"
    assert read_lines(row + following) == [expected, "Spain 39 EUR None"]


@pytest.mark.parametrize("by_row", [False, True])
def test_columns_of_prose_are_read_one_after_the_other(by_row: bool) -> None:
    texts = lines(LEFT, x=40) + lines(RIGHT, x=345)
    if by_row:
        texts.sort(key=lambda text: -text[1])
    assert read_lines([(40, 730, "Two columns"), *texts]) == ["Two columns", *LEFT, *RIGHT]


def test_rows_of_a_wide_table_are_not_taken_for_columns() -> None:
    rows = [(f"Article number {number}0{number}", f"{number}.50") for number in range(1, 9)]
    texts: list[Placed] = [
        place for n, (a, b) in enumerate(rows) for place in ((72, 700 - 14 * n, a), (400, 700 - 14 * n, b))
    ]
    assert read_lines(texts) == [" ".join(row) for row in rows]


def test_a_page_drawn_from_its_bottom_is_read_from_its_top() -> None:
    assert read_lines(lines(LEFT)[::-1]) == LEFT


def test_no_fragments_are_no_rows() -> None:
    assert reading_rows([]) == []


def test_a_title_in_larger_type_is_no_cell_of_the_table_below_it() -> None:
    page = [
        Fragment("What the company pays", 57, 553.5, 201, 565.8, size=14.0),
        Fragment("Kind", 57, 542.7, 79, 550.4, size=11.0),
        Fragment("Limit", 217, 542.7, 242, 550.1, size=11.0),
        Fragment("Approved by", 378, 540.4, 436, 550.4, size=11.0),
    ]
    assert [[fragment.text for fragment in row] for row in reading_rows(page)] == [
        ["What the company pays"],
        ["Kind", "Limit", "Approved by"],
    ]


def test_a_page_of_too_many_fragments_stays_in_the_order_of_drawing() -> None:
    fragments = [Fragment("x", 20.0 * number, 700, 20.0 * number + 6, 712) for number in range(100_000)]
    assert len(reading_rows(fragments)) == len(fragments)
