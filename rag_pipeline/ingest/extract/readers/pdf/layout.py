"""Put the fragments of a page into reading order, and the cells of a table's row on one line.

PDFium's order is that of the drawing, and for most text it is right: columns, boxes and notes come one after the
other. Tables are where it fails, because programs draw cells in any order, and cells of several lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from statistics import mean

from rag_pipeline.ingest.extract.readers.pdf.blocks import (
    PROSE_CHARACTERS,
    SAME_ROW,
    Block,
    are_columns,
    are_level,
    are_near,
    is_beside,
    is_one_row,
    is_prose,
    is_table_by_columns,
    middle,
)
from rag_pipeline.ingest.extract.readers.pdf.drawing_order import downwards
from rag_pipeline.ingest.extract.readers.pdf.page_text import Fragment

Row = list[Fragment]
"""Fragments that make one line of text."""

# In units of the letters' height.
_MAX_LEADING, _MAX_OVERLAP = 2.0, 0.5
_FEW, _MOSTLY = 3, 0.8
_CELLS = 6
_INTERLEAVED_ROWS = 6
_MAX_FRAGMENTS = 6_000  # pages of people have fewer, and the layout takes quadratic time
_TOUCHING, _CLOSING = 0.1, frozenset(".,;:!?)]}”»%")
_LARGER = 1.2  # the size of a title, in units of the size of the text below it


def reading_rows(fragments: Sequence[Fragment], *, right_to_left: bool = False) -> list[Row]:
    """Return the rows of a page in reading order; text along a margin comes last."""
    fragments, marginal = _without_margins(fragments)
    return _body_rows(fragments, right_to_left) + [[fragment] for fragment in marginal]


def _without_margins(fragments: Sequence[Fragment]) -> tuple[Sequence[Fragment], Sequence[Fragment]]:
    """Return the fragments of the body, and those that run upwards or downwards beside it."""
    if all(fragment.upright for fragment in fragments):
        return fragments, ()
    left = min((fragment.left for fragment in fragments if fragment.upright), default=float("-inf"))
    right = max((fragment.right for fragment in fragments if fragment.upright), default=float("inf"))
    is_marginal = [not one.upright and (one.right <= left or one.left >= right) for one in fragments]
    pairs = list(zip(fragments, is_marginal, strict=True))
    return [one for one, is_out in pairs if not is_out], [one for one, is_out in pairs if is_out]


def _body_rows(fragments: Sequence[Fragment], right_to_left: bool) -> list[Row]:
    if len(fragments) > _MAX_FRAGMENTS or _is_plain(fragments):
        return [[fragment] for fragment in fragments]
    if _is_reversed(fragments):  # some programs draw from the bottom of the page
        return [[fragment] for fragment in sorted(fragments, key=lambda fragment: -fragment.middle)]
    bands = _bands(_blocks(fragments))
    if _are_scattered(bands, right_to_left):
        return _merged_rows([list(fragments)], right_to_left)
    rows: list[Row] = []
    for band in _separated(downwards(bands)):
        rows += _rows(band, right_to_left)
    return rows


def row_text(row: Row) -> str:
    """Return the text of a row. A sign that touches the word before it, such as a comma after a raised 2, joins it."""
    text = row[0].text
    for before, fragment in _pairs(row):
        touches = -_MAX_OVERLAP < (fragment.left - before.right) / (fragment.height or 1.0) < _TOUCHING
        text += fragment.text if touches and fragment.text[:1] in _CLOSING else " " + fragment.text
    return text


def _is_plain(fragments: Sequence[Fragment]) -> bool:
    """Return whether each fragment is a line below the one before."""
    return all(one.middle - two.middle > SAME_ROW * max(one.height, two.height) for one, two in _pairs(fragments))


def _is_reversed(fragments: Sequence[Fragment]) -> bool:
    upwards = sum(two.middle - one.middle > SAME_ROW * one.height for one, two in _pairs(fragments))
    return len(fragments) > _FEW and upwards > _MOSTLY * (len(fragments) - 1)


def _are_scattered(bands: Sequence[list[Block]], right_to_left: bool) -> bool:
    """Return whether cells were drawn in no order of rows or columns, so that only their places tell the rows."""
    fragments = [fragment for band in bands for block in band for fragment in block]
    if len(bands) < _CELLS or mean(len(fragment.text) for fragment in fragments) > PROSE_CHARACTERS:
        return False
    band_of = {id(fragment): number for number, band in enumerate(bands) for block in band for fragment in block}
    rows = _merged_rows([fragments], right_to_left)
    torn = sum(len({band_of[id(fragment)] for fragment in row}) > 1 for row in rows)
    return torn > 0.5 * len(rows)


def _pairs(fragments: Sequence[Fragment]) -> Iterable[tuple[Fragment, Fragment]]:
    return pairwise(fragments)


def _blocks(fragments: Iterable[Fragment]) -> list[Block]:
    blocks: list[Block] = []
    for fragment in fragments:
        if blocks and _continues(blocks[-1][-1], fragment):
            blocks[-1].append(fragment)
        else:
            blocks.append([fragment])
    return blocks


def _continues(above: Fragment, fragment: Fragment) -> bool:
    """Return whether the fragment is the next line of the same block."""
    height = max(above.height, fragment.height)
    gap = above.bottom - fragment.top
    is_below = -_MAX_OVERLAP * height < gap < _MAX_LEADING * height and fragment.middle < above.bottom
    return is_below and above.upright == fragment.upright and _overlap(above, fragment) > 0


def _overlap(one: Fragment, two: Fragment) -> float:
    return min(one.right, two.right) - max(one.left, two.left)


def _bands(blocks: Iterable[Block]) -> list[list[Block]]:
    """Gather blocks that follow each other and stand side by side.

    What stands above or below the others of its band becomes a band of its own.
    """
    bands: list[list[Block]] = []
    for block in blocks:
        beside = _split_beside(bands[-1], block) if bands else None
        if beside is None:
            bands.append([block])
            continue
        above, band, rest = beside
        bands[-1:] = [*([above] if above else []), band, *([rest] if rest else [])]
    return bands


def _split_beside(band: list[Block], block: Block) -> tuple[list[Block], list[Block], list[Block]] | None:
    """Return the part above the block, the band with the block, and the part of the block below the band.

    None if the block is not beside the band.
    """
    above: Block = []
    beside = band
    # A paragraph above a table may be drawn together with its first column.
    if len(band) == 1 and (_has_title(band[0]) or not are_near([middle(band[0]), middle(block)], [band[0], block])):
        above, level = _cut(band[0], block[0].top)
        beside = [level]
    if not all(beside) or not block[0].upright:
        return None
    floor = min(other[-1].bottom for other in beside)
    inside, below = _cut(block, floor)
    if (
        inside and below and not any(_touch(other, below) for other in beside)
    ):  # a cell with more lines than its neighbours
        inside, below = block, []
    if not inside or any(_touch(other, inside) for other in beside):
        return None
    if inside[-1].bottom > max(other[0].top for other in beside):
        return None
    return ([above] if above else []), [*beside, inside], ([below] if below else [])


def _has_title(block: Block) -> bool:
    return len(block) > 1 and block[0].size >= _LARGER * block[1].size > 0


def _cut(block: Block, height: float) -> tuple[Block, Block]:
    """Return the lines whose middle is above the height, and those from the first one below it."""
    index = next((number for number, line in enumerate(block) if line.middle < height), len(block))
    return block[:index], block[index:]


def _touch(block: Block, other: Block) -> bool:
    return min(max(f.right for f in block), max(f.right for f in other)) > max(
        min(f.left for f in block), min(f.left for f in other)
    )


def _separated(bands: Sequence[list[Block]]) -> Iterator[list[Block]]:
    """Yield the bands; rows that are lines of two columns of prose become one band of two columns."""
    start = 0
    while start < len(bands):
        end = start
        gutter = (float("-inf"), float("inf"))
        while end < len(bands) and (shared := _shared_gutter(bands[end], gutter)):
            gutter = shared
            end += 1
        columns = _columns(bands[start:end])
        if columns and end - start >= _INTERLEAVED_ROWS and all(map(is_prose, columns)):
            yield columns
            start = end
        else:
            stop = max(end, start + 1)
            yield from bands[start:stop]
            start = stop


def _shared_gutter(band: list[Block], gutter: tuple[float, float]) -> tuple[float, float] | None:
    if len(band) != 2 or any(len(block) > 1 for block in band):
        return None
    left, right = sorted((block[0] for block in band), key=lambda fragment: fragment.left)
    shared = max(gutter[0], left.right), min(gutter[1], right.left)
    return shared if shared[0] < shared[1] else None


def _columns(bands: Sequence[list[Block]]) -> list[Block]:
    if not bands:
        return []
    pairs = [sorted((block[0] for block in band), key=lambda fragment: fragment.left) for band in bands]
    return [[pair[0] for pair in pairs], [pair[1] for pair in pairs]]


def _rows(band: list[Block], right_to_left: bool) -> list[Row]:
    if len(band) == 1:
        return [[fragment] for fragment in band[0]]
    blocks = sorted(band, key=lambda block: min(fragment.left for fragment in block), reverse=right_to_left)
    if are_columns(blocks):
        return [[fragment] for block in blocks for fragment in block]
    if is_table_by_columns(blocks):
        return _merged_rows(blocks, right_to_left)
    if is_one_row(blocks):
        return [[fragment for block in blocks for fragment in block]]
    if are_level(blocks):
        return _merged_rows(blocks, right_to_left)
    return [[fragment] for block in band for fragment in block]


def _merged_rows(blocks: Sequence[Block], right_to_left: bool) -> list[Row]:
    """Return the rows of a table whose columns were drawn one after the other."""
    rows: list[Row] = []
    for fragment in sorted((f for block in blocks for f in block), key=lambda fragment: -fragment.middle):
        first = rows[-1][0] if rows else None
        if first and is_beside(first, fragment):
            rows[-1].append(fragment)
        else:
            rows.append([fragment])
    for row in rows:
        row.sort(key=lambda fragment: fragment.left, reverse=right_to_left)
    return rows
