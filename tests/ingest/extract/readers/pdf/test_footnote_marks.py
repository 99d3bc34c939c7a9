"""Marks of footnotes stand apart from their words."""

from __future__ import annotations

import pytest

from tests.ingest.extract.makers import make_pdf, read_text


def marked(word: str, mark: str, rest: str, rise: float = 4, size: int = 7) -> str:
    """Return the text of a line with a number after a word, raised and smaller."""
    content = f"BT /F1 11 Tf 72 700 Td ({word}) Tj /F1 {size} Tf {rise} Ts ({mark}) Tj /F1 11 Tf 0 Ts ({rest}) Tj ET"
    return read_text(make_pdf(1, content=content.encode("cp1252")))


@pytest.mark.parametrize(
    ("word", "mark", "rest", "text"),
    [
        ("three years", "1", " and more", "three years 1 and more"),
        ("it costs 4 percent", "12", ".", "it costs 4 percent 12."),
        ("it is over.", "3", " Then", "it is over. 3 Then"),
        ("an area of 5 m", "2", ", or less", "an area of 5 m2, or less"),
    ],
)
def test_a_mark_does_not_glue_to_its_word(word: str, mark: str, rest: str, text: str) -> None:
    assert marked(word, mark, rest) == text


def test_numbers_that_belong_to_a_word_stay() -> None:
    assert marked("Version", "2", " is out", rise=0, size=11) == "Version2 is out"
    assert marked("Water is called dihydrogenoxide", "2", " here", rise=-2) == "Water is called dihydrogenoxide2 here"
