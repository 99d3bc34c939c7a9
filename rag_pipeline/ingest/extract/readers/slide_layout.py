"""Bring the shapes of a slide into reading order, by their positions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

_MAX_CUTS = 40


@dataclass(frozen=True, slots=True)
class Box:
    """The left, top, right and bottom edges of a shape."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(slots=True)
class Shape:
    """A shape on a slide: its lines of text, its position if it is known, and the shapes that it groups."""

    box: Box | None = None
    lines: list[str] = field(default_factory=list)
    shapes: list[Shape] = field(default_factory=list)
    is_title: bool = False


def reading_order(shapes: Sequence[Shape]) -> list[Shape]:
    """Return the shapes, without groups: from top to bottom, and side by side from left to right.

    Shapes without a position come first; they are rare.
    """
    placed = [(shape, shape.box) for shape in shapes if shape.box is not None]
    ordered = [shape for shape in shapes if shape.box is None] + _cut(placed, _MAX_CUTS)
    return [inner for shape in ordered for inner in (shape, *reading_order(shape.shapes))]


def _cut(shapes: list[tuple[Shape, Box]], depth: int) -> list[Shape]:
    """Split shapes at the gaps between rows, and each row at the gaps between columns."""
    if len(shapes) > 1 and depth:
        for start, end in (
            (lambda box: box.top, lambda box: box.bottom),
            (lambda box: box.left, lambda box: box.right),
        ):
            parts = _split(shapes, start, end)
            if len(parts) > 1:
                return [shape for part in parts for shape in _cut(part, depth - 1)]
    return [shape for shape, _ in sorted(shapes, key=lambda entry: (entry[1].top, entry[1].left))]


def _split(
    shapes: list[tuple[Shape, Box]], start: Callable[[Box], int], end: Callable[[Box], int]
) -> list[list[tuple[Shape, Box]]]:
    parts: list[list[tuple[Shape, Box]]] = []
    reached = 0
    for shape, box in sorted(shapes, key=lambda entry: start(entry[1])):
        # Boxes of neighbours overlap a little, as text is smaller than its box.
        if not parts or start(box) >= reached - (end(box) - start(box)) // 10:
            parts.append([])
        parts[-1].append((shape, box))
        reached = end(box) if len(parts[-1]) == 1 else max(reached, end(box))
    return parts
