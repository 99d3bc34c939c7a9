"""Put the recognised lines of a page in reading order: columns of prose one by one, rows from left to right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import median

# A gap between columns is wider than this many lines are high, and a line of prose is at least this wide.
_GAP_HEIGHTS, _PROSE_HEIGHTS = 1.0, 10.0
_MIN_COLUMN_LINES = 4
_WIDE_SHARE = 0.6
_MAX_DEPTH = 6


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line of text and the box around it, in pixels; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float
    text: str

    @property
    def height(self) -> float:
        """The height of the box."""
        return self.bottom - self.top


def page_text(lines: Sequence[TextLine]) -> str:
    """Return the text of a page. Lines side by side, such as the cells of a table row, share a line."""
    if not lines:
        return ""
    return "\n".join(_blocks(list(lines), median(line.height for line in lines), _MAX_DEPTH))


def _blocks(lines: list[TextLine], height: float, depth: int) -> list[str]:
    columns = _columns(lines, height) if depth else None
    if columns:
        return [text for column in columns for text in _blocks(column, height, depth - 1)]
    rows = _rows(lines)
    bands = _bands(rows) if depth else []
    if len(bands) > 1:
        return [text for band in bands for text in _blocks(band, height, depth - 1)]
    return ["\t".join(line.text for line in sorted(row, key=lambda line: line.left)) for row in rows]


def _columns(lines: list[TextLine], height: float) -> tuple[list[TextLine], list[TextLine]] | None:
    """Split at the widest gap that runs from top to bottom between two columns of prose; None if there is none."""
    ordered = sorted(lines, key=lambda line: line.left)
    reach, best = ordered[0].right, (_GAP_HEIGHTS * height, 0)
    for index, line in enumerate(ordered):
        best = max(best, (line.left - reach, index))
        reach = max(reach, line.right)
    if not best[1]:
        return None
    left, right = ordered[: best[1]], ordered[best[1] :]
    return (left, right) if _is_prose(left, height) and _is_prose(right, height) else None


def _is_prose(lines: list[TextLine], height: float) -> bool:
    """Return whether the lines are long, so not the cells of a table's column."""
    widths = [line.right - line.left for line in lines]
    return len(lines) >= _MIN_COLUMN_LINES and median(widths) >= _PROSE_HEIGHTS * height


def _bands(rows: list[list[TextLine]]) -> list[list[TextLine]]:
    """Cut above and below the rows of one wide line, such as a title over two columns."""
    left = min(line.left for row in rows for line in row)
    right = max(line.right for row in rows for line in row)
    bands = groupby(rows, lambda row: len(row) == 1 and row[0].right - row[0].left > _WIDE_SHARE * (right - left))
    return [[line for row in band for line in row] for _, band in bands]


def _rows(lines: list[TextLine]) -> list[list[TextLine]]:
    """Group the lines that are side by side, from top to bottom."""
    rows: list[list[TextLine]] = []
    for line in sorted(lines, key=lambda line: line.top + line.bottom):
        first = rows[-1][0] if rows else None
        if first and abs(line.top + line.bottom - first.top - first.bottom) < min(line.height, first.height):
            rows[-1].append(line)
        else:
            rows.append([line])
    return rows
