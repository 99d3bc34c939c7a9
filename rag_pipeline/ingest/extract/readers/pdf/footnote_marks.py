"""Tell the marks of footnotes from the words that they stand at: ``three years¹`` is not ``years1``."""

from __future__ import annotations

import re

from rag_pipeline.ingest.extract.readers.pdf.characters import Characters

# A number after a letter or a sign. What has one or two letters is rather a unit, such as m², or a name, such as A4.
_NUMBER = re.compile(r"\d(?<=[^\W\d_]\d|[.,;:!?)”\"’'»]\d)\d{0,2}(?!\w)")
_WORD_BEFORE = re.compile(r"[^\W\d_]{3}[.,;:!?)”\"’'»]{0,2}$")
_SMALLER, _RAISED = 0.9, 0.15


def find_marks(characters: Characters) -> set[int]:
    """Return the indexes at which the raised, smaller number of a footnote begins directly after a word."""
    marks = set()
    for match in _NUMBER.finditer(characters.text):
        start = match.start()
        word = _WORD_BEFORE.search(characters.text, max(0, start - 5), start)
        if word and _is_raised(characters, word.start(), start):
            marks.add(start)
    return marks


def _is_raised(characters: Characters, letter: int, digit: int) -> bool:
    size = characters.size(letter)
    if characters.size(digit) > _SMALLER * size:
        return False
    return characters.tight_box(digit)[1] - characters.origin(letter) > _RAISED * size
