"""Letter-spaced words, and letters that are drawn twice."""

from __future__ import annotations

import pytest

from tests.ingest.extract.makers import make_pdf, read_text
from tests.ingest.extract.readers.pdf.makers import Placed, placed, unmapped

WIDTHS = {"W": 9.44, "i": 2.22, "l": 2.22, "t": 2.78, " ": 2.78, "r": 3.33, "c": 5, "k": 5, "s": 5}


def spaced(text: str, gap: float, *, with_spaces: bool = False) -> list[Placed]:
    """Return the letters of a line in Helvetica at 10 points with a gap after each, as browsers draw them."""
    letters: list[Placed] = []
    x = 72.0
    for letter in text:
        if letter != " " or with_spaces:
            letters.append((round(x, 2), 700, letter))
        x += WIDTHS.get(letter, 5.56) + gap
    return letters


@pytest.mark.parametrize("gap", [2, 3, 4.5])
@pytest.mark.parametrize("with_spaces", [False, True])
def test_words_of_spaced_letters_are_words(gap: float, *, with_spaces: bool) -> None:
    text = "Wide tracked title no one reads"
    assert read_text(placed(spaced(text, gap, with_spaces=with_spaces), size=10)).split() == text.split()


@pytest.mark.parametrize("text", ["We go up to it as it is so we do", "a b c d e f", "A I U E O"])
def test_short_words_stay_words(text: str) -> None:
    assert read_text(placed([(72, 700, text)], size=10)) == text


def test_cells_of_one_letter_stay_cells() -> None:
    cells: list[Placed] = [(72 + 40 * number, 700, letter) for number, letter in enumerate("ABCDEFGH")]
    assert read_text(placed(cells, size=10)).split() == list("ABCDEFGH")


def test_the_border_of_a_word_is_not_a_letter_more() -> None:
    content = b"BT /F1 10 Tf 1 Tr 72 700 Td (S) Tj ET BT /F1 12 Tf 72.5 699.8 Td (Stroke of bold text) Tj ET"
    assert read_text(make_pdf(1, content=content)) == "Stroke of bold text"


def test_the_letters_of_a_ligature_stay() -> None:
    assert read_text(unmapped(b"<0041><03B103B1>", b"A")) == "αα"


@pytest.mark.parametrize("text", ["Aachen and llamas", "ooze", "11 of 22"])
def test_words_that_begin_with_equal_letters_stay(text: str) -> None:
    assert read_text(placed([(72, 700, text)])) == text
