"""The text of a page as PDFium gives it, cut into fragments: pieces of a line, with their places."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any, NamedTuple

import pypdfium2.raw as pdfium

from rag_pipeline.ingest.extract.readers.pdf.accents import compose_accents
from rag_pipeline.ingest.extract.readers.pdf.characters import LINE_END_HYPHEN, NO_SPACE, Characters, readable
from rag_pipeline.ingest.extract.readers.pdf.clusters import has_signs, merge_clusters
from rag_pipeline.ingest.extract.readers.pdf.footnote_marks import find_marks
from rag_pipeline.ingest.extract.readers.pdf.letter_spacing import join_spaced_letters, remove_doubled_letters
from rag_pipeline.ingest.extract.readers.pdf.pdfium import Box
from rag_pipeline.ingest.extract.readers.pdf.right_to_left import (
    RIGHT_TO_LEFT,
    Letter,
    has_right_to_left,
    is_mostly_right_to_left,
    reading_order,
)

_TOKEN = re.compile(r"[\r\n]+|[^\s\ufffe]+\ufffe?")
# In units of the letters' height: a wider gap separates columns or cells, and a smaller step stays on the line.
_CELL_GAP, _SAME_LINE = 1.0, 0.5
_LEFTWARDS = -1.0
_SPACE = 0.15  # in units of the font's size
_DOWNWARDS = 3
_SHADOW, _NEAR_IN_ORDER = 0.35, 4
_DOUBTFUL_SHARE = 0.03
_MOSTLY, _FEW_LETTERS, _SAMPLE = 0.6, 4, 16
_NOT_SIMPLE = re.compile(f"[\ud800-\udfff{NO_SPACE}{LINE_END_HYPHEN}{RIGHT_TO_LEFT}]")


@dataclass(slots=True)
class Fragment:
    """Words of one line without a wide gap. Right-to-left text is in logical order.

    ``size`` is the font's size in points, 0 if unknown; ``upright`` is False for text that is not along the lines.
    """

    text: str
    left: float
    bottom: float
    right: float
    top: float
    size: float = 0.0
    upright: bool = True

    @property
    def height(self) -> float:
        """The height of the letters, with their ascent and descent."""
        return self.top - self.bottom

    @property
    def middle(self) -> float:
        """The height of the middle above the page's bottom."""
        return (self.top + self.bottom) / 2


@dataclass(slots=True)
class PageText:
    """The fragments in PDFium's order; ``undecoded`` of the ``letters`` belong to fonts without a Unicode map.

    ``turns`` says how often the page must be turned by 90° to read it; the fragments' places are of the turned page.
    """

    fragments: list[Fragment]
    letters: int
    undecoded: int
    turns: int
    right_to_left: bool

    @property
    def is_doubtful(self) -> bool:
        """Whether too many letters are undecoded: another library should read the page."""
        return self.undecoded > _DOUBTFUL_SHARE * self.letters


@dataclass(slots=True)
class _Word:
    text: str
    first: int
    last: int
    box: Box
    starts_line: bool
    quarter: int | None = None
    """The direction, if it may be another one than that of the page."""


class _Page(NamedTuple):
    """A page, as its lines need it. ``is_flat``: no word runs upwards or downwards."""

    characters: Characters
    turns: int
    is_rtl: bool
    is_flat: bool


def read_page_text(page: Any, *, wide_gaps_are_spaces: bool = False) -> PageText:
    """Return the text of a loaded page.

    ``wide_gaps_are_spaces`` looks at all letters for spaces that are only gaps, which takes longer.
    """
    text_page = pdfium.FPDFText_LoadPage(page)
    if not text_page:
        return PageText([], 0, 0, 0, False)
    try:
        characters = Characters(text_page)
        if has_signs(characters.text):
            if ends := merge_clusters(page):
                pdfium.FPDFText_ClosePage(text_page)
                text_page = pdfium.FPDFText_LoadPage(page)
                characters = Characters(text_page)
            characters.join_clusters(ends)
        compose_accents(characters)
        join_spaced_letters(characters)
        remove_doubled_letters(characters)
        words = list(_words(characters, wide_gaps_are_spaces=wide_gaps_are_spaces))
        turns = _turns(words, characters)
        is_flat = turns == 0 and all(map(_is_flat, words))
        if not is_flat:
            _find_sideways(words, characters, turns)
        is_rtl = has_right_to_left(characters.text) and is_mostly_right_to_left(characters.text)
        fragments = _without_shadows(_fragments(words, _Page(characters, turns, is_rtl, is_flat)))
        displayed = (turns - pdfium.FPDFPage_GetRotation(page)) % 4
        if displayed and characters.quarter(words[0].first) == turns:
            fragments = _by_place(fragments, is_rtl)  # PDFium sorts what is displayed from left to right
        elif displayed == _DOWNWARDS:  # it takes lines that are displayed downwards from the left
            fragments.reverse()
    finally:
        pdfium.FPDFText_ClosePage(text_page)
    letters = sum(len(word.text) for word in words)
    return PageText(fragments, letters, characters.undecoded, turns, is_rtl)


def _words(characters: Characters, *, wide_gaps_are_spaces: bool) -> Iterator[_Word]:
    box_of = characters.box
    is_simple = characters.text.isascii() or not _NOT_SIMPLE.search(characters.text)
    starts_line = True
    tokens: Iterable[tuple[int, int]] = (match.span() for match in _TOKEN.finditer(characters.text))
    if wide_gaps_are_spaces:
        tokens = _split_at_gaps(tokens, characters)
    if marks := find_marks(characters):
        tokens = _split_at(marks, tokens)
    for first, end in tokens:
        text = characters.text[first:end]
        if text[0] in "\r\n":
            starts_line = True
            continue
        box = box_of(first)
        if end - first > 1:
            box = _union((box, box_of(end - 1)))
        has_hyphen = False
        if not is_simple:
            if has_right_to_left(text):  # the first and the last letter need not be at the ends
                box = _union([box_of(index) for index in range(first, end)])
            has_hyphen = text[-1] == LINE_END_HYPHEN
            text = readable(text)
        yield _Word(text, first, end - 1, box, starts_line)
        starts_line = has_hyphen


def _split_at(places: set[int], tokens: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    for first, end in tokens:
        place = next((index for index in range(first + 1, end) if index in places), end)
        yield first, place
        if place < end:
            yield place, end


def _split_at_gaps(tokens: Iterable[tuple[int, int]], characters: Characters) -> Iterator[tuple[int, int]]:
    """Yield the tokens, split where a gap is as wide as a space and wider than those of a letter-spaced word."""
    for first, end in tokens:
        if end - first > 1 and characters.text[first] not in "\r\n":
            boxes = [characters.box(index) for index in range(first, end)]
            gaps = [two[0] - one[2] for one, two in pairwise(boxes)]
            widest = max(_SPACE * characters.size(first), 3 * median(gaps))
            for index, gap in enumerate(gaps, start=first + 1):
                if gap > widest:
                    yield first, index
                    first = index
        yield first, end


def _turns(words: Sequence[_Word], characters: Characters) -> int:
    """Return in which direction most of the text runs: 0 rightwards, 1 upwards, 2 leftwards, 3 downwards."""
    sample = words[:: max(1, len(words) // _SAMPLE)]
    if not sample:
        return 0
    quarters = Counter(characters.quarter(word.first) for word in sample)
    ((quarter, _),) = quarters.most_common(1)
    if quarter or sum(map(_is_flat, sample)) > _MOSTLY * len(sample):
        return quarter
    letters = [0, 0, 0, 0]  # Chinese and Japanese may run downwards though the letters stand upright
    for word in words:
        if len(word.text) > 1 and not has_right_to_left(word.text):
            letters[_direction(characters.box(word.first), characters.box(word.last))] += len(word.text)
    return letters.index(max(letters))


def _find_sideways(words: Sequence[_Word], characters: Characters, turns: int) -> None:
    """Set the direction of words that run in another one than the page, such as a stamp in the margin."""
    quarters = [characters.quarter(word.first) for word in words]
    if turns in quarters:  # else the letters stand upright, and their lines run downwards
        for word, quarter in zip(words, quarters, strict=True):
            word.quarter = None if quarter == turns else quarter


def _is_flat(word: _Word) -> bool:
    left, bottom, right, top = word.box
    return len(word.text) < _FEW_LETTERS or right - left >= 0.6 * (top - bottom)


def _direction(first: Box, last: Box) -> int:
    x = last[0] + last[2] - first[0] - first[2]
    y = last[1] + last[3] - first[1] - first[3]
    if abs(x) >= abs(y):
        return 0 if x >= 0 else 2
    return 1 if y > 0 else 3


def turn(box: Box, turns: int) -> Box:
    """Return the box on the page turned clockwise by 90° as often as ``turns`` says."""
    left, bottom, right, top = box
    match turns:
        case 1:
            return (bottom, -right, top, -left)
        case 2:
            return (-right, -top, -left, -bottom)
        case 3:
            return (-top, left, -bottom, right)
    return box


def _fragments(words: Sequence[_Word], page: _Page) -> Iterator[Fragment]:
    for drawn in _drawn_lines(words):
        # A page in English may quote a paragraph in Hebrew.
        runs_leftwards = page.is_rtl or _is_right_to_left(drawn)
        quarter = page.turns if drawn[0].quarter is None else drawn[0].quarter
        line: list[_Word] = []
        for word in drawn:
            if quarter:
                word.box = turn(word.box, quarter)
            if line and not _continues(line[-1].box, word.box, runs_leftwards):
                yield from _turned(_line_fragments(line, page, quarter), page.turns - quarter)
                line = []
            line.append(word)
        yield from _turned(_line_fragments(line, page, quarter), page.turns - quarter)


def _turned(fragments: Iterable[Fragment], turns: int) -> Iterator[Fragment]:
    """Yield the fragments, turned to the page's direction if theirs is another one."""
    for fragment in fragments:
        if turns:
            box = turn((fragment.left, fragment.bottom, fragment.right, fragment.top), turns % 4)
            yield Fragment(fragment.text, *box, fragment.size, upright=False)
        else:
            yield fragment


def _drawn_lines(words: Iterable[_Word]) -> Iterator[list[_Word]]:
    """Yield the words that PDFium has in one line, and that run in one direction."""
    line: list[_Word] = []
    for word in words:
        if line and (word.starts_line or word.quarter != line[-1].quarter):
            yield line
            line = []
        line.append(word)
    if line:
        yield line


def _by_place(fragments: Iterable[Fragment], is_rtl: bool) -> list[Fragment]:
    """Return the fragments line by line."""
    rows: list[list[Fragment]] = []
    for fragment in sorted(fragments, key=lambda fragment: -fragment.middle):
        if rows and abs(rows[-1][0].middle - fragment.middle) < _SAME_LINE * fragment.height:
            rows[-1].append(fragment)
        else:
            rows.append([fragment])
    return [one for row in rows for one in sorted(row, key=lambda fragment: fragment.left, reverse=is_rtl)]


def _is_right_to_left(words: Iterable[_Word]) -> bool:
    text = "".join(word.text for word in words)
    return has_right_to_left(text) and is_mostly_right_to_left(text)


def _without_shadows(fragments: Iterable[Fragment]) -> list[Fragment]:
    """Leave out text that is drawn once more a little beside, as a shadow or for boldness."""
    kept: list[Fragment] = []
    for fragment in fragments:
        if not any(_is_shadow(fragment, other) for other in kept[-_NEAR_IN_ORDER:]):
            kept.append(fragment)
    return kept


def _is_shadow(fragment: Fragment, other: Fragment) -> bool:
    step = _SHADOW * fragment.height
    return (
        fragment.text in other.text
        and fragment.left > other.left - step
        and fragment.right < other.right + step
        and abs(fragment.bottom - other.bottom) < step
        and abs(fragment.top - other.top) < step
    )


def _continues(last: Box, following: Box, is_rtl: bool) -> bool:
    height = max(last[3] - last[1], following[3] - following[1], 0.1)
    if abs(last[1] + last[3] - following[1] - following[3]) > 2 * _SAME_LINE * height:
        return False
    gap = following[0] - last[2]
    if is_rtl:  # the words of a line are sorted later
        return max(gap, last[0] - following[2]) < _CELL_GAP * height or gap < 0
    return _LEFTWARDS * height < gap < _CELL_GAP * height


def _line_fragments(line: Sequence[_Word], page: _Page, turns: int) -> Iterator[Fragment]:
    characters = page.characters
    size = characters.size(line[0].first)
    text = " ".join(word.text for word in line)
    if not has_right_to_left(text):
        boxes = [word.box for word in line]
        yield _fragment(text, boxes, size, not page.is_flat and not all(map(_is_flat, line)))
        return
    letters = [
        Letter(characters.text[index], *turn(characters.box(index), turns), number)
        for number, word in enumerate(line)
        for index in range(word.first, word.last + 1)
    ]
    for piece, pieces in reading_order(letters, _CELL_GAP, in_rtl_page=page.is_rtl):
        yield _fragment(
            piece, [(letter.left, letter.bottom, letter.right, letter.top) for letter in pieces], size, False
        )


def _fragment(text: str, boxes: Sequence[Box], size: float, is_turned: bool) -> Fragment:
    return Fragment(text, *_union(boxes), size, not is_turned or len(text) < 3)


def _union(boxes: Sequence[Box]) -> Box:
    left, bottom, right, top = boxes[0]
    for box in boxes:
        if box[0] < left:
            left = box[0]
        if box[1] < bottom:
            bottom = box[1]
        if box[2] > right:
            right = box[2]
        if box[3] > top:
            top = box[3]
    return (left, bottom, right, top)
