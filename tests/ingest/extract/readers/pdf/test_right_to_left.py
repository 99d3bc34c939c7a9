"""Right-to-left text, from the places of its letters."""

from __future__ import annotations

import pytest

from rag_pipeline.ingest.extract.readers.pdf.right_to_left import (
    Letter,
    has_right_to_left,
    is_mostly_right_to_left,
    reading_order,
)

HEBREW = "כל עובד זכאי ל-27 ימים (לידי המנהל) בכתובת a@b.example עד 12/05/2024."
ARABIC = "العدد 1234 ثم النص (بين قوسين)"


def test_noncharacters_are_no_letters() -> None:
    assert not has_right_to_left("word\ufdd0s")
    assert has_right_to_left("\ufdcf\ufdf0")


def drawn(visual: str, width: float = 6) -> list[Letter]:
    """Return the letters of a line as it looks, from left to right; spaces are only gaps."""
    return [
        Letter(character, number * width, 0, number * width + width, 12)
        for number, character in enumerate(visual)
        if character != " "
    ]


def visual_of(logical: str) -> str:
    """Return how a viewer shows a right-to-left line without marks of direction, for these texts."""
    text = logical[::-1]
    for run in ("27", "a@b.example", "12/05/2024", "1234"):
        text = text.replace(run[::-1], run)
    return text.translate(str.maketrans("()", ")("))


@pytest.mark.parametrize("text", [HEBREW, ARABIC])
def test_a_line_is_read_as_it_is_spoken(text: str) -> None:
    letters = drawn(visual_of(text))
    for order in (letters, letters[::-1]):
        ((line, _),) = reading_order(order, 5.0, in_rtl_page=True)
        assert line == text


def test_a_left_to_right_line_with_a_foreign_name_stays_one() -> None:
    ((line, _),) = reading_order(drawn("The word םולש means peace to many"), 5.0, in_rtl_page=False)
    assert line == "The word שלום means peace to many"


def test_a_ligature_keeps_the_order_of_its_letters() -> None:
    letters = [Letter("ل", 10, 0, 20, 12), Letter("ا", 10, 0, 20, 12), Letter("ﺏ", 20, 0, 26, 12)]
    assert [text for text, _ in reading_order(letters, 5.0, in_rtl_page=True)] == ["بلا"]


def test_a_ligature_is_turned_that_begins_with_a_letter_that_joins_none() -> None:
    letters = [Letter("ع", 20, 0, 26, 12), Letter("ى", 10, 0, 20, 12), Letter("ل", 10, 0, 20, 12)]
    assert [text for text, _ in reading_order(letters, 5.0, in_rtl_page=True)] == ["على"]


def test_a_narrow_gap_separates_words_where_pdfium_has_a_space() -> None:
    letters = [Letter("د", 10, 0, 16, 12, 0), Letter("م", 3, 0, 9, 12, 1)]
    assert [text for text, _ in reading_order(letters, 5.0, in_rtl_page=True)] == ["د م"]
    letters = [letter._replace(word=0) for letter in letters]
    assert [text for text, _ in reading_order(letters, 5.0, in_rtl_page=True)] == ["دم"]


def test_wide_gaps_separate_cells_from_right_to_left() -> None:
    letters = [
        *drawn("רכש"),
        *(letter._replace(left=letter.left + 200, right=letter.right + 200) for letter in drawn("םש")),
    ]
    assert [text for text, _ in reading_order(letters, 1.0, in_rtl_page=True)] == ["שם", "שכר"]


def test_languages_are_told_apart() -> None:
    assert has_right_to_left("abc שלום")
    assert not has_right_to_left("abc äöü 中文")
    assert is_mostly_right_to_left("שלום abc")
    assert not is_mostly_right_to_left("שלום abcdef")
