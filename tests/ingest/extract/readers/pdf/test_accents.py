"""Accents that are drawn over or under their letters by themselves."""

from __future__ import annotations

import pytest

from tests.ingest.extract.makers import make_pdf, read_text
from tests.ingest.extract.readers.pdf.makers import Placed, placed

# Widths of Helvetica at 10 points: u and o 5.56, i 2.22, accents 3.33, U 7.22, E 6.67, c 5, a and e 5.56.


WIN_ANSI = b"/BaseFont/Helvetica/Encoding/WinAnsiEncoding"


def drawn(*texts: Placed) -> str:
    """Return the text of a page; ``(x, y, text)`` in points."""
    return read_text(placed(texts, size=10).replace(b"/BaseFont/Helvetica", WIN_ANSI))


@pytest.mark.parametrize(
    ("accent", "letter", "composed"),
    [("¨", "o", "ö"), ("´", "e", "é"), ("`", "a", "à"), ("ˆ", "u", "û"), ("˜", "a", "ã"), ("¸", "c", "ç")],
)
def test_an_accent_before_or_after_its_letter_is_one_with_it(accent: str, letter: str, composed: str) -> None:
    before = [(100, 700, "Am"), (115.4, 700, accent), (114, 700, letter), (119.6, 700, "ber")]
    after = [before[0], before[2], before[1], before[3]]
    assert drawn(*before) == drawn(*after) == f"Am{composed}ber"


def test_the_accent_of_a_capital_may_be_drawn_elsewhere() -> None:
    line: list[Placed] = [(100, 700, "Gut, Ubergang und Ende.")]
    assert drawn(*line, (126, 702, "¨")) == "Gut, Übergang und Ende."


def test_no_space_is_left_beside_the_accent() -> None:
    assert drawn((100, 700, "l'"), (106, 702, "´"), (104.1, 700, "Etat")) == "l'État"


@pytest.mark.parametrize("text", ["`code`", "a ^ b", "5° C", "x~y", "´", "~/bin and ^C", "¨ 12"])
def test_signs_beside_letters_stay(text: str) -> None:
    assert drawn((100, 700, text)) == text


def test_a_letter_without_such_an_accent_in_unicode_stays() -> None:
    assert drawn((100, 700, "q"), (101, 700, "¨")) == "q¨"


def test_many_accents_take_no_quadratic_time() -> None:
    content = b"BT /F1 10 Tf 72 700 Td " + b"(" + b"\xa8 " * 8_000 + b") Tj ET"
    assert read_text(make_pdf(1, content=content).replace(b"/BaseFont/Helvetica", WIN_ANSI)).count("¨") == 8_000
