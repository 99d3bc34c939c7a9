"""Find the headings of a page: entries of the document's outline, or lines in larger type."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from rag_pipeline.ingest.extract.readers.pdf.layout import Row, row_text

_LARGER = 1.2
_LEVEL_1, _LEVEL_2 = 1.8, 1.4
_MAX_CHARACTERS, _MAX_LINES = 120, 3
_MAX_SHARE, _LEADING = 0.3, 1.5
_MAX_RUNNING = 5_000
_NOT_IN_TITLES = re.compile(r"[\W_]+")


class Headings:
    """Recognises headings, page by page in order."""

    def __init__(self, outline: Iterable[tuple[int, int, str]]) -> None:
        """Take the outline: indexes of pages, levels and titles."""
        self._outline: dict[int, list[tuple[int, str]]] = defaultdict(list)
        for page, level, title in outline:
            self._outline[page].append((level, title))
        self._sizes: Counter[float] = Counter()
        self._running: set[tuple[str, int]] = set()

    def on_page(self, index: int, rows: Sequence[Row]) -> dict[int, tuple[int, int, str]]:
        """Return the headings by their first row, as level, number of rows and title."""
        if self._outline:
            return _by_outline(self._outline.get(index, ()), rows)
        return self._by_size(rows)

    def _by_size(self, rows: Sequence[Row]) -> dict[int, tuple[int, int, str]]:
        sizes = [_size(row) for row in rows]
        lengths = [sum(len(fragment.text) for fragment in row) for row in rows]
        for size, length in zip(sizes, lengths, strict=True):
            self._sizes[size] += length
        body = max(self._sizes, key=self._sizes.__getitem__, default=0.0)
        if not body:
            return {}
        large = [size >= _LARGER * body and row[0].upright for size, row in zip(sizes, rows, strict=True)]
        for number in (number for number, is_large in enumerate(large) if is_large):
            large[number] = not self._is_running(rows[number])
        if sum(length for length, is_large in zip(lengths, large, strict=True) if is_large) > _MAX_SHARE * sum(lengths):
            return {}
        found = {}
        start = 0
        while start < len(rows):
            end = start + 1
            if large[start]:
                while end < len(rows) and sizes[end] == sizes[start] and _is_next_line(rows[end - 1], rows[end]):
                    end += 1
                title = " ".join(map(row_text, rows[start:end]))
                if end - start <= _MAX_LINES and len(title) <= _MAX_CHARACTERS and _has_word(title):
                    found[start] = (_level(sizes[start] / body), end - start, title)
            start = end
        return found

    def _is_running(self, row: Row) -> bool:
        """Return whether an earlier page has the line, but for its numbers, at the same height."""
        text = "".join(character for fragment in row for character in fragment.text if not character.isdigit())
        place = text, round(row[0].middle)
        if place in self._running:
            return True
        if len(self._running) < _MAX_RUNNING:
            self._running.add(place)
        return False


def _size(row: Row) -> float:
    return round(2 * max(fragment.size for fragment in row)) / 2


def _is_next_line(row: Row, following: Row) -> bool:
    one, two = row[0], following[0]
    is_aligned = min(abs(one.left - two.left), abs(one.left + one.right - two.left - two.right) / 2) < one.height
    return is_aligned and 0 < one.middle - two.middle < _LEADING * one.height


def _level(ratio: float) -> int:
    return 1 if ratio >= _LEVEL_1 else 2 if ratio >= _LEVEL_2 else 3


def _has_word(text: str) -> bool:
    return sum(map(str.isalpha, text)) >= 2


def _by_outline(entries: Iterable[tuple[int, str]], rows: Sequence[Row]) -> dict[int, tuple[int, int, str]]:
    found: dict[int, tuple[int, int, str]] = {}
    folded = [_fold(row_text(row)) for row in rows]
    start = 0
    for level, title in entries:
        place = _find(_fold(title), folded, start)
        if place:
            first, count = place
            found[first] = (level, count, " ".join(map(row_text, rows[first : first + count])))
            start = first + count
    return found


def _find(title: str, rows: Sequence[str], start: int) -> tuple[int, int] | None:
    """Return the first row and the number of rows whose text is the title, perhaps after a number."""
    if not title:
        return None
    for first in range(start, len(rows)):
        text = ""
        for count in range(1, _MAX_LINES + 1):
            if first + count > len(rows) or len(text) > len(title) + 8:
                break
            text += rows[first + count - 1]
            if text == title or (text.endswith(title) and len(text) <= len(title) + 8):
                while count > 1 and text[len(rows[first]) :].endswith(title):  # a row before it, such as a page number
                    text = text[len(rows[first]) :]
                    first, count = first + 1, count - 1
                return first, count
    return None


def _fold(text: str) -> str:
    return _NOT_IN_TITLES.sub("", text).casefold()
