"""Results and own fields as plain JSON: converted, refused or left out."""

from __future__ import annotations

import json
import math
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.status import values


class Text(str):
    __slots__ = ()


class Colour(str, Enum):  # noqa: UP042 - the older spelling is what callers may have
    RED = "red"


class Level(IntEnum):
    HIGH = 3


@dataclass
class Page:
    number: int
    words: set[str]


class Point(NamedTuple):
    x: int
    y: float


class Broken(dict[str, int]):
    def items(self) -> Any:
        raise KeyError("no items")


class Model:
    """Stands for a pydantic model."""

    def model_dump(self) -> dict[str, object]:
        return {"language": "de"}


NUMBER = UUID("12345678-1234-5678-1234-567812345678")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (datetime(2024, 5, 1, 12, tzinfo=UTC), "2024-05-01T12:00:00+00:00"),
        (date(2024, 5, 1), "2024-05-01"),
        (timedelta(minutes=2), 120.0),
        ({"b", "a"}, ["a", "b"]),
        (frozenset({1, "a"}), ["a", 1]),
        (Page(3, {"x"}), {"number": 3, "words": ["x"]}),
        (Point(1, 2.5), [1, 2.5]),
        (deque([1, 2]), [1, 2]),
        (range(3), [0, 1, 2]),
        (Colour.RED, "red"),
        (NUMBER, str(NUMBER)),
        (Path("a/b"), "a/b"),
        (Decimal("1.50"), "1.50"),
        (np.int64(3), 3),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (Model(), {"language": "de"}),
        ({1: "a", NUMBER: "b", None: "c", Path("d"): "e"}, {"1": "a", str(NUMBER): "b", "None": "c", "d": "e"}),
    ],
)
def test_common_types_are_converted(value: object, shown: object) -> None:
    copied = values.copy_json("result", {"value": value}).value
    assert copied == {"value": shown}
    assert json.loads(json.dumps(copied)) == copied


def test_bad_parts_are_left_out_and_the_rest_stays() -> None:
    reported: list[Exception] = []
    value = {
        "good": 1,
        "nan": math.nan,
        "object": object(),
        "inner": {"bytes": b"x", "kept": [1, math.inf, 3]},
        b"key": 1,
        "broken": Broken(),
        "huge": "x" * (1 << 19),
        "last": 2,
        "lone": "a\udcffb",
    }
    copied, size = values.copy_json("result", value, reported.append)
    assert copied == {"good": 1, "inner": {"kept": [1, None, 3]}, "last": 2, "lone": "a\\xffb"}
    assert 0 < size < 500
    assert len(reported) == 7
    assert all(isinstance(error, (TypeError, ValueError)) and "result" in str(error) for error in reported)


def test_a_bad_value_becomes_none() -> None:
    reported: list[Exception] = []
    for value in (object(), math.nan, b"x", Broken()):
        assert values.copy_json("result", value, reported.append).value is None
    assert len(reported) == 4


def test_an_endless_list_is_cut_at_the_limit() -> None:
    def endless() -> Iterator[int]:
        while True:
            yield 1

    class Endless(list[int]):
        def __iter__(self) -> Iterator[int]:
            return endless()

    copied = values.copy_json("result", Endless(), lambda _: None).value
    assert 0 < len(copied) <= values.MAX_JSON_CHARACTERS


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)) | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers() | st.binary(), inner),
    max_leaves=12,
)


@pytest.mark.slow
@given(ANYTHING)
def test_leaving_out_never_raises_and_returns_json(value: object) -> None:
    copied = values.copy_json("result", value, lambda _: None).value
    json.dumps(copied, allow_nan=False, ensure_ascii=False).encode()


@pytest.mark.slow
@given(ANYTHING)
def test_a_shown_result_is_bounded(value: object) -> None:
    shown = json.dumps(values.shown_result([value] * 50), ensure_ascii=False)  # as events are encoded
    assert len(shown) < 8 * values.MAX_SHOWN_RESULT_CHARACTERS


def test_a_long_shown_result_is_cut() -> None:
    shown = values.shown_result("x" * 250_000)
    assert len(shown) == values.MAX_SHOWN_RESULT_CHARACTERS
    assert shown.endswith("…")


def test_merging_own_fields_leaves_out_surplus_of_the_second_mapping() -> None:
    reported: list[Exception] = []
    first = {f"new{n}": n for n in range(200)}
    merged = values.fitting_own({f"old{n}": n for n in range(200)}, first, reported.append)
    assert len(merged) == values.MAX_OWN_FIELDS
    assert list(merged)[:200] == list(first)
    assert len(reported) == 1


def test_a_json_copy_shares_nothing_and_is_made_of_plain_types() -> None:
    inner = [1, 2]
    value = OrderedDict(a=inner, b=MappingProxyType({"c": (Text("x"), Colour.RED, Level.HIGH, 1.5, True, None)}))
    copied = values.copy_json("result", value).value
    assert copied == {"a": [1, 2], "b": {"c": ["x", "red", 3, 1.5, True, None]}}
    inner.append(3)
    assert copied["a"] == [1, 2]
    assert [type(v) for v in copied["b"]["c"]] == [str, str, int, float, bool, type(None)]


def _nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


_LOOP: list[Any] = []
_LOOP.append(_LOOP)


@pytest.mark.parametrize(
    "bad",
    [
        math.nan,
        {"a": [math.inf]},
        {"a": "\udcff"},
        {"\udcff": 1},
        2**2000,
        _nested(65),
        _LOOP,
        "x" * (1 << 19),
        [0] * (1 << 18),
        ["x" * 1000] * 1000,
    ],
)
def test_a_value_that_is_not_json_or_too_large_is_a_value_error(bad: object) -> None:
    with pytest.raises(ValueError, match="result"):
        values.copy_json("result", bad)


@pytest.mark.parametrize("wrong", [b"x", {b"1": 2}, object(), [lambda: None], 1j, iter([1])])
def test_a_type_without_json_form_is_a_type_error(wrong: object) -> None:
    with pytest.raises(TypeError, match="result"):
        values.copy_json("result", wrong)


@pytest.mark.parametrize("bad", ["", "x" * 201, "\udcff"])
def test_the_name_of_an_own_field_is_valid_and_short(bad: str) -> None:
    with pytest.raises(ValueError, match="field's name"):
        values.check_own_key(bad)
