"""Headings: by the outline if there is one, else by the size of the type."""

from __future__ import annotations

from rag_pipeline.ingest.extract.readers.pdf.headings import Headings
from rag_pipeline.ingest.extract.readers.pdf.layout import Row
from rag_pipeline.ingest.extract.readers.pdf.page_text import Fragment

BODY = "Words of the body text that are long enough to be most of the page."


def rows(*lines: tuple[str, float]) -> list[Row]:
    """Return rows below each other, with sizes."""
    return [
        [Fragment(text, 72, 700 - 16 * number, 72 + 5 * len(text), 712 - 16 * number, size)]
        for number, (text, size) in enumerate(lines)
    ]


def test_larger_lines_are_headings_by_their_size() -> None:
    page = rows(("Report", 24), (BODY, 11), ("Sales", 18), (BODY, 11), ("Norway", 14), (BODY, 11))
    assert Headings(()).on_page(0, page) == {0: (1, 1, "Report"), 2: (2, 1, "Sales"), 4: (3, 1, "Norway")}


def test_a_heading_of_two_lines_is_one() -> None:
    page = rows(("A long title that", 16), ("goes on here", 16), (BODY, 11), (BODY, 11))
    assert Headings(()).on_page(0, page) == {0: (2, 2, "A long title that goes on here")}


def test_numbers_and_pages_in_large_type_are_no_headings() -> None:
    assert Headings(()).on_page(0, rows(("90 %", 40), (BODY, 11))) == {}
    assert Headings(()).on_page(0, rows((BODY, 30), (BODY, 11))) == {}
    assert Headings(()).on_page(0, []) == {}


def test_the_size_of_the_body_is_learned_from_earlier_pages() -> None:
    headings = Headings(())
    headings.on_page(0, rows(*[(BODY, 11.0)] * 5))
    assert headings.on_page(1, rows(("Annex", 16), ("short note at the end", 11))) == {0: (2, 1, "Annex")}


def test_running_titles_in_large_type_are_no_headings_of_later_pages() -> None:
    headings = Headings(())
    headings.on_page(0, rows(("Harbour Bank, page 1", 14), ("Loans", 18), *[(BODY, 11.0)] * 5))
    assert headings.on_page(1, rows(("Harbour Bank, page 2", 14), ("Companies", 18), (BODY, 11))) == {
        1: (2, 1, "Companies")
    }


def test_the_outline_wins_and_numbers_before_its_titles_are_allowed() -> None:
    headings = Headings([(0, 1, "Leave"), (0, 2, "Sick leave"), (0, 2, "Missing"), (1, 1, "Pay")])
    page = rows(("Large but no entry", 30), ("1 Leave", 11), (BODY, 11), ("Sick", 11), ("leave", 11), (BODY, 11))
    assert headings.on_page(0, page) == {1: (1, 1, "1 Leave"), 3: (2, 2, "Sick leave")}
    assert headings.on_page(1, rows((BODY, 11))) == {}
