"""Compare extracted text with the truth: recall, precision, order, and rows kept on one line; pure."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.lib.text_truth import Truth, words


@dataclass(frozen=True, slots=True)
class TextScores:
    """Scores of one file, 0..1.

    recall: share of the required words that were found.
    precision: share of the found words that are in the truth.
    order: length of the longest common subsequence of words, as a share of the ordered words that were found.
    rows: share of the table rows whose cells are on one line, in order; None for a file without tables.
    missing, surplus: the words that lower recall and precision.
    """

    recall: float
    precision: float
    order: float
    rows: float | None
    missing: tuple[str, ...] = ()
    surplus: tuple[str, ...] = ()
    split_rows: tuple[str, ...] = ()


def score(text: str, truth: Truth) -> TextScores:
    """Return the scores of the text."""
    found = words(text)
    required = Counter(truth.required)
    counted = Counter(found)
    missing = required - counted
    repeatable = set(truth.heads) | set(truth.optional)
    surplus = Counter({word: count for word, count in (counted - required).items() if word not in repeatable})
    in_order = sum((Counter(truth.ordered) & counted).values())
    split = _split_rows(text, truth.rows)
    return TextScores(
        recall=1 - missing.total() / required.total() if required else 1.0,
        precision=1 - surplus.total() / len(found) if found else 1.0,
        order=common_length(truth.ordered, found) / in_order if in_order else 1.0,
        rows=1 - len(split) / len(truth.rows) if truth.rows else None,
        missing=tuple(missing.elements()),
        surplus=tuple(surplus.elements()),
        split_rows=tuple(" | ".join(" ".join(cell) for cell in row) for row in split),
    )


def _split_rows(text: str, rows: Iterable[list[list[str]]]) -> list[list[list[str]]]:
    lines = [found for found in map(words, text.splitlines()) if found]
    return [row for row in rows if not any(_holds(line, row) for line in lines)]


def _holds(line: Sequence[str], row: Iterable[Sequence[str]]) -> bool:
    """Return whether the cells are in the line, in order, with any words between them."""
    start = 0
    for cell in row:
        length = len(cell)
        at = next((i for i in range(start, len(line) - length + 1) if line[i : i + length] == cell), None)
        if at is None:
            return False
        start = at + length
    return True


def common_length(left: Sequence[str], right: Sequence[str]) -> int:
    """Return the length of the longest common subsequence (Hunt and Szymanski's algorithm)."""
    places: defaultdict[str, list[int]] = defaultdict(list)
    for index in range(len(right) - 1, -1, -1):
        places[right[index]].append(index)
    # ends[n] is the earliest place in `right` where a common subsequence of n + 1 words ends.
    ends: list[int] = []
    for word in left:
        for index in places.get(word, ()):
            at = bisect_left(ends, index)
            ends[at : at + 1] = [index]
    return len(ends)
