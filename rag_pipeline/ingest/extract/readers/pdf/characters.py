"""The characters of a page with their boxes, as PDFium gives them."""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pypdfium2.raw as pdfium

from rag_pipeline.ingest.extract.readers.pdf.clusters import SIGNS, place
from rag_pipeline.ingest.extract.readers.pdf.legibility import looks_like_text, tex_letters
from rag_pipeline.ingest.extract.readers.pdf.pdfium import Box

UNDECODED = "\ufffd"
LINE_END_HYPHEN = "\ufffe"
"""PDFium's sign for a hyphen that ends a line. PDFium joins such lines, but it knows no compounds."""
NO_SPACE = "\ufdd0"
"""The place of a space that PDFium guessed wrongly; a noncharacter."""
_HYPHEN_CODE = 2  # LINE_END_HYPHEN among the codes of single characters
_WORD = re.compile(r"\S+")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ONE_LETTER = re.compile(r"(?<= )[^\W\d_](?= )")
# Up to four letters, of which a sign may stand above or below another, then a space.
_SPACE_AMONG_SIGNS = re.compile(f"[{SIGNS}]{{1,4}} (?=[{SIGNS}])")
_TOUCHING = 0.1  # in units of the font's size
_MAX_ONE_LETTER_SHARE, _FEW_SPACES = 0.25, 20


class Characters:
    """The characters of a text page and their boxes."""

    def __init__(self, page: Any) -> None:
        self._page = page
        rectangle = pdfium.FS_RECTF()
        self._reference = ctypes.byref(rectangle)
        self._rectangle = memoryview(rectangle).cast("B").cast("f")  # faster than the attributes of the structure
        self._box = pdfium.FPDFText_GetLooseCharBox
        self.count = max(0, pdfium.FPDFText_CountChars(page))
        self.text = self._read()
        self.undecoded = 0
        if any(self._is_undecoded(match.start()) for match in _WORD.finditer(self.text)):
            self._mark_undecoded()
        if len(_ONE_LETTER.findall(self.text)) > _MAX_ONE_LETTER_SHARE * self.text.count(" "):
            self._remove_false_spaces()

    def _read(self) -> str:
        buffer = (ctypes.c_ushort * (2 * self.count + 2))()
        written = pdfium.FPDFText_GetText(self._page, 0, self.count, buffer)
        text = bytes(buffer)[: 2 * max(0, written - 1)].decode("utf-16-le", "surrogatepass")
        if len(text) == self.count:
            return text
        # PDFium counts the halves of a pair of surrogates, and leaves some characters out of its text. Indexes must be
        # those of the boxes.
        return "".join(map(self._character, range(self.count)))

    def _character(self, index: int) -> str:
        code = pdfium.FPDFText_GetUnicode(self._page, index)
        if code == _HYPHEN_CODE and pdfium.FPDFText_IsHyphen(self._page, index) == 1:
            return LINE_END_HYPHEN
        return chr(code) if 0 < code < 0x110000 else " "

    def _is_undecoded(self, index: int) -> bool:
        return bool(pdfium.FPDFText_HasUnicodeMapError(self._page, index) == 1)

    def _mark_undecoded(self) -> None:
        """Replace characters without a Unicode value, which PDFium gives as codes, unless the codes are letters."""
        indexes = [index for index, character in enumerate(self.text) if character != " " and self._is_undecoded(index)]
        letters = tex_letters("".join(self.text[index] for index in indexes))
        gaps = (index - before > 1 for before, index in pairwise([-1, *indexes]))
        is_text = looks_like_text("".join(" " * gap + letter for gap, letter in zip(gaps, letters, strict=True)))
        marked = list(self.text)
        for index, letter in zip(indexes, letters, strict=True):
            marked[index] = letter if is_text else UNDECODED
        self.text = "".join(marked)
        self.undecoded = 0 if is_text else len(indexes)

    def _remove_false_spaces(self) -> None:
        """Remove the spaces that PDFium guessed, where they break words.

        Text that OCR laid over a scan has its own spaces, and letters that are not as wide as the font says.
        """
        spaces = [index for index, character in enumerate(self.text) if character == " "]
        guessed = [index for index in spaces if self.is_generated(index)]
        if 2 * len(guessed) > len(spaces) or len(spaces) < _FEW_SPACES:
            return
        marked = list(self.text)
        for index in guessed:
            marked[index] = NO_SPACE
        self.text = "".join(marked)

    def join_clusters(self, ends: Mapping[tuple[float, float], float]) -> None:
        """Remove the spaces that PDFium guessed between letters that touch, given the ends of ``merge_clusters``."""
        marked = list(self.text)
        for match in _SPACE_AMONG_SIGNS.finditer(self.text):
            index = match.end() - 1
            if not self.is_generated(index):
                continue
            boxes = [self.box(before) for before in range(match.start(), index)]
            end = max(ends.get(place(right, bottom), right) for _, bottom, right, _ in boxes)
            if self.box(index + 1)[0] - end < _TOUCHING * self.size(index + 1):
                marked[index] = NO_SPACE
        self.text = "".join(marked)

    def box(self, index: int) -> Box:
        """Return the box of a character with the font's ascent and descent."""
        if not self._box(self._page, index, self._reference):
            return (0.0, 0.0, 0.0, 0.0)
        left, top, right, bottom = self._rectangle.tolist()
        return (left, bottom, right, top)

    def is_generated(self, index: int) -> bool:
        """Return whether PDFium guessed the character, such as a space in a gap."""
        return bool(pdfium.FPDFText_IsGenerated(self._page, index) == 1)

    def tight_box(self, index: int) -> Box:
        """Return the box around what is drawn of a character."""
        left, right, bottom, top = (ctypes.c_double() for _ in range(4))
        if not pdfium.FPDFText_GetCharBox(self._page, index, left, right, bottom, top):
            return (0.0, 0.0, 0.0, 0.0)
        return (left.value, bottom.value, right.value, top.value)

    def origin(self, index: int) -> float:
        """Return the height of the base line at a character."""
        x, y = ctypes.c_double(), ctypes.c_double()
        pdfium.FPDFText_GetCharOrigin(self._page, index, x, y)
        return y.value

    def size(self, index: int) -> float:
        """Return the size of the character's font in points, 0 if unknown."""
        matrix = pdfium.FS_MATRIX()
        if not pdfium.FPDFText_GetMatrix(self._page, index, matrix):
            return 0.0
        return float(pdfium.FPDFText_GetFontSize(self._page, index)) * math.hypot(matrix.c, matrix.d)

    def quarter(self, index: int) -> int:
        """Return by how many quarters of a circle the character is turned, against the clock."""
        return round(-float(pdfium.FPDFText_GetCharAngle(self._page, index)) / (math.pi / 2)) % 4  # it runs clockwise


def readable(text: str) -> str:
    """Return a word of ``Characters.text`` without this module's signs."""
    text = text.replace(NO_SPACE, "").replace(LINE_END_HYPHEN, "-")
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if _SURROGATE.search(text) else text
