"""Put Arabic, Hebrew and other right-to-left text into the order in which it is read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from rag_pipeline.common.normal_forms import nfkc

RIGHT_TO_LEFT = (
    "\u0590-\u05ff\u0600-\u0603\u0608\u060b\u060d-\u064a\u066d-\u06ef\u06fa-\u08ff"
    "\ufb1d-\ufdcf\ufdf0-\ufdff\ufe70-\ufeff"
)
"""The ranges of right-to-left letters, for a character class; without the noncharacters among them."""
_HAS_RTL = re.compile(f"[{RIGHT_TO_LEFT}]")
_LTR_LETTER = r"[^\W\d_" + RIGHT_TO_LEFT + "]"
_NUMBER = r"[0-9\u0660-\u0669\u06f0-\u06f9]"
# Left-to-right text within a line of right-to-left text: from a letter to the last letter or digit before the next
# right-to-left letter; or a number with its separators, such as 1,234.50 or 12/05/2024.
_LTR_RUN = re.compile(
    f"{_LTR_LETTER}(?:[^{RIGHT_TO_LEFT}]*(?:{_LTR_LETTER}|{_NUMBER}))?+|{_NUMBER}+(?:[.,:/%-]{_NUMBER}+)*+%?+"
)
_RTL_RUN = re.compile(f"[{RIGHT_TO_LEFT}](?:[^A-Za-z]*[{RIGHT_TO_LEFT}])?+")
_OPEN, _CLOSE = "([{<«", ")]}>»"
# In units of the letters' height. Where PDFium has a space, a narrow gap is enough.
_WORD_GAP, _GAP_AT_SPACE = 0.18, 0.03
# Letters that don't join the next one, and marks: a ligature never begins with them.
_NEVER_FIRST = re.compile("[\u0610-\u061a\u0622-\u0625\u0627\u0629\u062f-\u0632\u0648\u0649\u064b-\u065f\u0670-\u0673]")
# A line of an Arabic page runs from right to left even if a long e-mail address is in it.
_RTL_PAGE_SHARE = 0.3


class Letter(NamedTuple):
    """A character, its box, and the number of its word in PDFium's order."""

    text: str
    left: float
    bottom: float
    right: float
    top: float
    word: int = 0


def has_right_to_left(text: str) -> bool:
    """Return whether the text has right-to-left letters."""
    return not text.isascii() and _HAS_RTL.search(text) is not None


def is_mostly_right_to_left(text: str, share: float = 0.5) -> bool:
    """Return whether at least this share of the letters are right-to-left ones."""
    return len(_HAS_RTL.findall(text)) >= share * sum(map(str.isalpha, text))


def reading_order(
    letters: Sequence[Letter], cell_gap: float, *, in_rtl_page: bool
) -> Iterator[tuple[str, list[Letter]]]:
    """Yield pieces of a line, as logical text with its letters, split at gaps wider than ``cell_gap`` heights.

    PDFs place glyphs from left to right or from right to left, and one word both ways; only the places are sure.
    """
    height = max((letter.top - letter.bottom for letter in letters), default=0.0) or 1.0
    text = "".join(letter.text for letter in letters)
    is_rtl = is_mostly_right_to_left(text, _RTL_PAGE_SHARE if in_rtl_page else 0.5)
    # Equal places stay in their order: the two letters of a ligature have one box.
    ordered = _with_ligatures(sorted(letters, key=lambda letter: -letter.right if is_rtl else letter.left))
    piece: list[Letter] = []
    text = ""
    for letter in ordered:
        gap = max(piece[-1].left - letter.right, letter.left - piece[-1].right) if piece else 0.0
        if gap > cell_gap * height:
            yield _logical(text, is_rtl), piece
            piece, text = [], ""
        elif piece and gap > (_WORD_GAP if letter.word == piece[-1].word else _GAP_AT_SPACE) * height:
            text += " "
        text += letter.text
        piece.append(letter)
    if piece:
        yield _logical(text, is_rtl), piece


def _with_ligatures(letters: list[Letter]) -> Iterator[Letter]:
    """Yield the letters; those of one ligature, which PDFium often reverses, begin with one that can join the next."""
    for _, group in groupby(letters, key=lambda letter: letter[1:5]):
        ligature = list(group)
        is_reversed = _NEVER_FIRST.match(ligature[0].text) and not _NEVER_FIRST.match(ligature[-1].text)
        yield from reversed(ligature) if is_reversed else ligature


def _logical(text: str, is_rtl: bool) -> str:
    text = nfkc(text)
    if not is_rtl:
        return _RTL_RUN.sub(lambda match: match[0][::-1], text)
    return _turn_brackets(_LTR_RUN.sub(lambda match: match[0][::-1], text))


def _turn_brackets(text: str) -> str:
    """Turn brackets so that they open before and close after what they hold: PDFs have them as drawn or as meant."""
    turned = list(text)
    for index, character in enumerate(text):
        kind = _OPEN.find(character) if character in _OPEN else _CLOSE.find(character)
        if kind < 0:
            continue
        opens = index == 0 or (text[index - 1].isspace() and not text[index + 1 : index + 2].isspace())
        closes = index == len(text) - 1 or not text[index + 1].isalnum()
        if opens != closes:
            turned[index] = (_OPEN if opens else _CLOSE)[kind]
    return "".join(turned)
