"""The reading order of shapes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.ingest.extract.readers.slide_layout import Box, Shape, reading_order


def shape(name: str, left: int, top: int, width: int = 100, height: int = 50) -> Shape:
    return Shape(Box(left, top, left + width, top + height), [name])


def names(shapes: list[Shape]) -> list[str]:
    return [line for found in reading_order(shapes) for line in found.lines]


def test_shapes_are_read_from_top_to_bottom() -> None:
    assert names([shape("c", 0, 200), shape("a", 0, 0), shape("b", 5, 95)]) == ["a", "b", "c"]


def test_columns_are_read_one_after_the_other() -> None:
    left = [shape("l1", 0, 100), shape("l2", 0, 160), shape("l3", 0, 220)]
    right = shape("right", 200, 90, height=200)
    assert names([right, *reversed(left), shape("title", 0, 0, 300)]) == ["title", "l1", "l2", "l3", "right"]


def test_groups_are_read_as_one() -> None:
    group = Shape(Box(0, 0, 100, 300), [], [shape("g2", 0, 90), shape("g1", 0, 10)])
    assert names([shape("after", 0, 400), group]) == ["g1", "g2", "after"]


def test_shapes_without_a_position_come_first_in_their_order() -> None:
    assert names([shape("placed", 0, 0), Shape(None, ["x"]), Shape(None, ["y"])]) == ["x", "y", "placed"]


@given(st.lists(st.tuples(*[st.integers(-1000, 1000)] * 4), max_size=40))
def test_no_shape_is_lost(boxes: list[tuple[int, int, int, int]]) -> None:
    shapes = [Shape(Box(*box), [str(at)]) for at, box in enumerate(boxes)]
    assert sorted(names(shapes)) == sorted(str(at) for at in range(len(boxes)))
