"""Join accents that a font draws by themselves with their letters, as TeX does: ``¨`` over ``o`` is ``ö``."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import islice

from rag_pipeline.common.normal_forms import nfc
from rag_pipeline.ingest.extract.readers.pdf.characters import NO_SPACE, Characters
from rag_pipeline.ingest.extract.readers.pdf.pdfium import Box

_COMBINING = {
    "`": "\u0300", "´": "\u0301", "^": "\u0302", "ˆ": "\u0302", "~": "\u0303", "˜": "\u0303", "¯": "\u0304",
    "ˉ": "\u0304", "˘": "\u0306", "˙": "\u0307", "¨": "\u0308", "˚": "\u030a", "°": "\u030a", "˝": "\u030b",
    "ˇ": "\u030c", "¸": "\u0327", "˛": "\u0328",
}  # fmt: skip
_BELOW = "¸˛"
_ACCENT = re.compile("[" + "".join(map(re.escape, _COMBINING)) + "]")
# Signs of ASCII, and the degree sign, are accents only beside a letter, or alone: those of capitals may be.
_OTHER_SIGNS = frozenset("`^~°")
_CAPITAL = re.compile("[A-Z]")
_DOTLESS = {"ı": "i", "ȷ": "j"}
_MAX_ACCENTS, _NEAR, _FAR = 3_000, 2, 250
# In units of the font's size: how far the accent's middle may be outside of its letter, their distance, and
# a gap that is narrower than a space.
_BESIDE, _OVERLAP, _ABOVE, _TOUCHING = 0.1, 0.35, 0.3, 0.12


def compose_accents(characters: Characters) -> None:
    """Replace letters that have an accent drawn over or under them, and take these accents out of the text."""
    text = characters.text
    changed: dict[int, str] = {}
    letters: list[int] = []
    accents: set[int] = set()
    for match in islice(_ACCENT.finditer(text), _MAX_ACCENTS):
        accent = match.start()
        index = _letter_of(accent, characters, changed) if _may_be_accent(text, accent) else None
        if index is not None:
            changed[index] = _composed(changed.get(index, text[index]), text[accent])
            changed[accent] = _sign_for(text, accent)
            accents.add(accent)
            letters.append(index)
    for index in letters:
        for step in (1, -1):
            changed |= dict.fromkeys(_false_spaces(index, step, accents, characters), NO_SPACE)
    if changed:
        characters.text = "".join(changed.get(index, letter) for index, letter in enumerate(text))


def _false_spaces(letter: int, step: int, accents: set[int], characters: Characters) -> list[int]:
    """Return the indexes of spaces that PDFium guessed beside a letter because of accents; none if there is a gap.

    The accents among them are returned too.
    """
    text = characters.text
    index = letter + step
    while 0 <= index < len(text) and (index in accents or (text[index] == " " and characters.is_generated(index))):
        index += step
    if not 0 <= index < len(text) or text[index].isspace():
        return []
    first, second = sorted((letter, index))
    gap = characters.box(second)[0] - characters.box(first)[2]
    return list(range(first + 1, second)) if abs(gap) < _TOUCHING * characters.size(letter) else []


def _sign_for(text: str, accent: int) -> str:
    """Return what stands for an accent that is gone: a space where it is a word of its own."""
    is_alone = not text[max(0, accent - 1) : accent].strip() and not text[accent + 1 : accent + 2].strip()
    return " " if is_alone else NO_SPACE


def _may_be_accent(text: str, index: int) -> bool:
    before, after = text[max(0, index - 1) : index], text[index + 1 : index + 2]
    is_alone = not before.strip() and not after.strip()
    return text[index] not in _OTHER_SIGNS or is_alone or before.isalpha() or after.isalpha()


@lru_cache(4_096)
def _composed(letter: str, accent: str) -> str:
    """Return the letter with the accent, of one character; empty if there is none."""
    composed = nfc(_DOTLESS.get(letter, letter) + _COMBINING[accent]) if letter.isalpha() else ""
    return composed if len(composed) == 1 else ""


def _letter_of(accent: int, characters: Characters, changed: dict[int, str]) -> int | None:
    """Return the index of the letter under or over an accent: beside it in the text, or a capital around it."""
    place = characters.tight_box(accent)
    size = characters.size(accent) or place[3] - place[1]
    text, sign = characters.text, characters.text[accent]
    near = range(max(0, accent - _NEAR), min(len(text), accent + _NEAR + 1))
    capitals = _CAPITAL.finditer(text, max(0, accent - _FAR), accent + _FAR)
    for indexes in (near, (match.start() for match in capitals)):
        found = []
        for index in indexes:
            if index != accent and _composed(changed.get(index, text[index]), sign):
                box = characters.tight_box(index)
                if _is_at_letter(sign, place, box, size):
                    found.append((abs(box[0] + box[2] - place[0] - place[2]), index))
        if found:
            return min(found)[1]
    return None


def _is_at_letter(sign: str, accent: Box, letter: Box, size: float) -> bool:
    middle = (accent[0] + accent[2]) / 2
    gap = letter[1] - accent[3] if sign in _BELOW else accent[1] - letter[3]
    is_beside = max(letter[0] - middle, middle - letter[2]) > _BESIDE * size
    return not is_beside and -_OVERLAP * size <= gap <= _ABOVE * size
