"""What a text is about: headings of a locator, words of a name."""

from __future__ import annotations

import pytest

from rag_pipeline.ingest.headings import heading_path, one_line, readable_name


@pytest.mark.parametrize(
    ("locator", "headings"),
    [
        ("", ""),
        ("page 3", ""),
        ("lines 1-20", ""),
        ("message", ""),
        ("slide 4", ""),
        ("sheet Budget, rows 2-40", "Budget"),
        ("rows 2-40", ""),
        ("cell 7", ""),
        ("Leave › Sick leave", "Leave › Sick leave"),
        ("page 3 › Leave", "Leave"),
        ("Rows of houses", "Rows of houses"),
        ("Page 3 of the plan", "Page 3 of the plan"),
    ],
)
def test_positions_are_no_headings(locator: str, headings: str) -> None:
    assert heading_path(locator) == headings


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("reports/budget-2024_final.xlsx", "budget 2024 final"),
        ("Vacation policy.docx", "Vacation policy"),
        ("IMG_2034.jpg", ""),
        ("scan0001.pdf", "scan0001"),
        ("document (3).pdf", ""),
        ("README.md", ""),
        ("0815.txt", ""),
        ("東京都.pdf", "東京都"),
        ("b\udcff-notes.txt", "b? notes"),
    ],
)
def test_a_name_is_used_if_it_says_something(name: str, words: str) -> None:
    assert readable_name(name) == words


def test_text_is_put_on_one_bounded_line() -> None:
    assert one_line(" a\n b ") == "a b"
    assert len(one_line("word " * 1000)) == 120
