"""Tell what blocks that stand side by side are: columns of prose, the columns of a table, or cells of one row."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean, median

from rag_pipeline.ingest.extract.readers.pdf.page_text import Fragment

Block = list[Fragment]
"""Fragments below each other: a paragraph, a column or a cell."""

# In units of the letters' height.
SAME_ROW = 0.4
_ALIGNED = 0.7
_PROSE_LINES, _FILLED, _MAX_DIGITS = 4, 0.7, 0.4
PROSE_CHARACTERS = 24
"""Lines of prose are longer than this; most cells are shorter."""
_MAX_CELL_LINES = 8
_LIST_LINES = 12


def are_columns(blocks: Sequence[Block]) -> bool:
    """Return whether the blocks are read one after the other, like newspaper columns or the columns of an index."""
    if sum(map(is_prose, blocks)) >= 2 and all(is_prose(block) or len(block) < _PROSE_LINES for block in blocks):
        return True
    if min(map(len, blocks)) < _LIST_LINES:
        return False
    lengths = [mean(len(fragment.text) for fragment in block) for block in blocks]
    digits = [_digit_share(block) for block in blocks]
    return max(lengths) < 1.6 * min(lengths) and max(digits) - min(digits) < 0.15 and max(digits) < _MAX_DIGITS


def is_prose(block: Block) -> bool:
    """Return whether the lines are those of a column of sentences."""
    if len(block) < _PROSE_LINES or _digit_share(block) > _MAX_DIGITS:
        return False
    length = mean(len(fragment.text) for fragment in block)
    going_on = sum(fragment.text[:1].islower() for fragment in block[1:])
    if length > PROSE_CHARACTERS / 2 and going_on > len(block) / 4:  # sentences over several lines
        return True
    # Lines of prose fill their column; cells have any length.
    width = max(fragment.right for fragment in block) - min(fragment.left for fragment in block)
    is_filled = median(fragment.right - fragment.left for fragment in block) > _FILLED * width
    return is_filled and length > PROSE_CHARACTERS


def _digit_share(block: Block) -> float:
    text = "".join(fragment.text for fragment in block)
    return sum(map(str.isdigit, text)) / max(1, len(text))


def is_table_by_columns(blocks: Sequence[Block]) -> bool:
    """Return whether the blocks are columns of a table: lines stand beside each other, and few go on a sentence."""
    tall = [block for block in blocks if len(block) > 2]
    lines = [fragment.text for block in tall for fragment in block[1:]]
    return len(tall) > 1 and sum(text[:1].islower() for text in lines) < 0.3 * len(lines) and are_level(blocks)


def is_one_row(blocks: Sequence[Block]) -> bool:
    """Return whether the blocks are the cells of one row, of which some have several lines."""
    lines = sorted(map(len, blocks))
    if lines[-1] == 1:
        return True
    # Cells of one height each with several lines are rather columns that were drawn one after the other.
    return lines[0] < lines[-1] <= _MAX_CELL_LINES and (
        are_near([block[0].top for block in blocks], blocks)
        or are_near([block[-1].bottom for block in blocks], blocks)
        or are_near([middle(block) for block in blocks], blocks)
    )


def middle(block: Block) -> float:
    """Return the height of the block's middle."""
    return (block[0].top + block[-1].bottom) / 2


def are_near(heights: Sequence[float], blocks: Sequence[Block]) -> bool:
    """Return whether the heights are those of one line of the blocks."""
    return max(heights) - min(heights) < _ALIGNED * max(block[0].height for block in blocks)


def are_level(blocks: Sequence[Block]) -> bool:
    """Return whether the lines of the blocks stand beside each other, as in a table."""
    longest = max(blocks, key=len)
    others = [fragment for block in blocks if block is not longest for fragment in block]
    level = sum(any(is_beside(fragment, other) for other in longest) for fragment in others)
    return level >= 0.7 * len(others)


def is_beside(one: Fragment, two: Fragment) -> bool:
    """Return whether the fragments are on one line."""
    return abs(one.middle - two.middle) < SAME_ROW * max(one.height, two.height)
