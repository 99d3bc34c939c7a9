"""Find the words of letter-spaced text, whose gaps PDFium takes for spaces; and letters that are drawn twice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from statistics import median

from rag_pipeline.ingest.extract.readers.pdf.characters import NO_SPACE, Characters
from rag_pipeline.ingest.extract.readers.pdf.pdfium import Box

# Four short words in a row, after another word.
_SHORT_WORDS = re.compile(r" (?:[^\W\d_]{1,4} ){3}[^\W\d_]{1,4}(?!\S)")
_TWO_LETTERS = re.compile(r"\S\S")
_TWICE = re.compile(r"[ \n](\S)\1")
# In units of the font's size. The gaps between letters are equal, but for the kerning; a space adds to the gap.
_MIN_GAP, _MAX_GAP, _KERNING, _WORD_SPACE = 0.06, 0.8, 0.06, 0.14
_EQUAL_SHARE = 0.6
_MAX_PAIRS = 2_000
_SAME_PLACE = 0.4


def join_spaced_letters(characters: Characters) -> None:
    """Remove the spaces that PDFium guessed between the letters of letter-spaced words."""
    false: set[int] = set()
    end = 0
    for match in _SHORT_WORDS.finditer(characters.text):
        if match.start() >= end and _may_be_spaced(characters, match.start(), match.end()):
            start, end = _line_around(characters.text, match.start())
            false.update(_false_spaces(characters, start, end))
    _remove(characters, false)


def _may_be_spaced(characters: Characters, start: int, end: int) -> bool:
    """Return whether there is a gap between the first two letters of a word."""
    match = _TWO_LETTERS.search(characters.text, start, end)
    if not match:
        return True
    one, two = characters.box(match.start()), characters.box(match.start() + 1)
    return two[0] - one[2] > _MIN_GAP * characters.size(match.start())


def _line_around(text: str, index: int) -> tuple[int, int]:
    end = text.find("\r", index)
    return text.rfind("\n", 0, index) + 1, end if end >= 0 else len(text)


def _false_spaces(characters: Characters, start: int, end: int) -> Iterator[int]:
    letters = [index for index in range(start, end) if characters.text[index] not in (" ", NO_SPACE)][:_MAX_PAIRS]
    size = characters.size(letters[0]) if letters else 0.0
    boxes = [characters.box(index) for index in letters]
    gaps = [two[0] - one[2] for one, two in pairwise(boxes)]
    if not gaps or not size:
        return
    usual = median(gaps)
    equal = sum(abs(gap - usual) <= _KERNING * size for gap in gaps)
    if not _MIN_GAP * size < usual < _MAX_GAP * size or equal < _EQUAL_SHARE * len(gaps):
        return
    for (first, second), gap in zip(pairwise(letters), gaps, strict=True):
        if gap < usual + _WORD_SPACE * size:
            yield from (index for index in range(first + 1, second) if characters.is_generated(index))


def remove_doubled_letters(characters: Characters) -> None:
    """Remove the first letter of a word that is drawn twice, as a border and as a shadow.

    PDFium leaves out the other letters of such a word itself.
    """
    doubled = set()
    for first in [0, *(match.start(1) for match in _TWICE.finditer(characters.text))]:
        one, two = characters.box(first), characters.box(first + 1)
        if characters.text[first : first + 1] == characters.text[first + 1 : first + 2] and _is_same_place(one, two):
            doubled.add(first)
    _remove(characters, doubled)


def _is_same_place(one: Box, two: Box) -> bool:
    """Return whether two letters are drawn over each other; those of one ligature have one box."""
    return one != two and abs(two[0] - one[0]) < _SAME_PLACE * (one[2] - one[0])


def _remove(characters: Characters, indexes: set[int]) -> None:
    if indexes:
        characters.text = "".join(NO_SPACE if i in indexes else letter for i, letter in enumerate(characters.text))
