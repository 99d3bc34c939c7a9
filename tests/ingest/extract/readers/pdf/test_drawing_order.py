"""Titles, headers and boxes are read by their places, not in the order of the drawing."""

from __future__ import annotations

import pytest

from tests.ingest.extract.makers import make_pdf, read, read_text
from tests.ingest.extract.readers.pdf.makers import Placed, lines, placed

BODY = [f"Body line {number} of the letter to the customer," for number in range(6)]


def test_a_title_that_was_drawn_last_comes_first() -> None:
    content = b"BT /F1 11 Tf 14 TL 72 650 Td " + b" ".join(b"(%s) Tj T*" % line.encode() for line in BODY)
    data = make_pdf(1, content=content + b" ET BT /F1 20 Tf 72 760 Td (Letter heading) Tj ET")
    assert read(data) == [("page 1 › Letter heading", "\n".join(["Letter heading", *BODY]))]


@pytest.mark.parametrize("distance", [30, 200, 500])
def test_boxes_are_read_from_the_top(distance: float) -> None:
    low, high = 700 - distance, 700
    boxes: list[Placed] = [(72, low, "Left lower"), (350, low, "Right lower")]
    boxes += [(72, high, "Left upper"), (350, high, "Right upper")]
    assert read_text(placed(boxes)) == "Left upper Right upper\nLeft lower Right lower"


def test_a_header_and_a_footer_that_were_drawn_first_stand_around_columns() -> None:
    left = [f"the left column has these words in line {number}" for number in range(6)]
    right = [line.replace("left", "right") for line in left]
    edges: list[Placed] = [
        (40, 40, "Footer of the page over all of its width, as wide as both columns, and even more"),
        (40, 780, "Header"),
    ]
    paragraphs = [*lines(left[:3], x=40), *lines(left[3:], x=40, top=640), *lines(right[:3], x=345)]
    paragraphs += lines(right[3:], x=345, top=640)
    assert read_text(placed([*edges, *paragraphs])).split("\n") == ["Header", *left, *right, edges[0][2]]


def test_what_stands_below_the_left_column_does_not_tear_it_from_the_right_one() -> None:
    left, right = [line + " left" for line in BODY], [line + " right" for line in BODY]
    mark: Placed = (72, 60, "1")
    paragraphs = [*lines(left[:3], x=40), *lines(left[3:], x=40, top=640), *lines(right, x=345)]
    assert read_text(placed([mark, *paragraphs])).split("\n") == [*left, *right, "1"]


def test_many_bands_stay_in_the_order_of_drawing() -> None:
    cells: list[Placed] = [(40 + 90 * (n % 5), 40 + 3.0 * (n // 5 * 7 % 250), f"w{n}") for n in range(2_000)]
    assert len(read_text(placed(cells, size=2)).split()) == 2_000
