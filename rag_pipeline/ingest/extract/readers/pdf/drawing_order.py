"""Order by place: titles, headers and boxes that a program drew last, or first, are read where they stand."""

from __future__ import annotations

from collections.abc import Sequence

from rag_pipeline.ingest.extract.readers.pdf.blocks import Block

_MAX_BANDS = 400  # ordering takes quadratic time
_MAX_OVERLAP, _SHARED_WIDTH = 0.25, 0.3


def downwards(bands: list[list[Block]]) -> list[list[Block]]:
    """Return the bands in their order, but each after those that stand above it.

    Columns do not stand above each other, so their order is that of the drawing.
    """
    extents = list(map(_Extent, bands))
    if len(bands) > _MAX_BANDS or not _is_disordered(extents):
        return bands
    above = [{n for n, other in enumerate(extents) if _is_above(other, extent)} for extent in extents]
    waiting = dict(enumerate(above))
    ordered: list[list[Block]] = []
    last = -1
    while waiting:
        # Go on behind the last one: what stands below one column must not come between this and the next.
        following = sorted(waiting, key=lambda number: (number < last, number))
        last = next((number for number in following if not waiting[number]), following[0])
        ordered.append(bands[last])
        del waiting[last]
        for others in waiting.values():
            others.discard(last)
    return ordered


def _is_disordered(extents: Sequence[_Extent]) -> bool:
    lowest = float("inf")
    for number, extent in enumerate(extents):
        if extent.bottom > lowest - extent.height and any(_is_above(extent, other) for other in extents[:number]):
            return True
        lowest = min(lowest, extent.top)
    return False


def _is_above(one: _Extent, two: _Extent) -> bool:
    if one.bottom <= two.top - _MAX_OVERLAP * min(one.height, two.height):
        return False
    return any(
        min(right, other_right) - max(left, other_left) > _SHARED_WIDTH * min(right - left, other_right - other_left)
        for left, right in one.sides
        for other_left, other_right in two.sides
    )


class _Extent:
    """The height of a band, and the sides of its blocks."""

    def __init__(self, band: list[Block]) -> None:
        self.bottom = min(fragment.bottom for block in band for fragment in block)
        self.top = max(fragment.top for block in band for fragment in block)
        self.height = self.top - self.bottom
        self.sides = [
            (min(fragment.left for fragment in block), max(fragment.right for fragment in block)) for block in band
        ]
