from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.status.model import FileWarning
from rag_pipeline.status.verdict import merge_warnings, read_quality, read_warnings


class Reports:
    """Collects what is reported."""

    def __init__(self) -> None:
        self.errors: list[Exception] = []

    def __call__(self, value: object, error: Exception) -> None:
        self.errors.append(error)


class Broken(dict[str, Any]):
    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("broken")

    def items(self) -> Any:
        raise RuntimeError("broken")


def warnings_of(value: object) -> tuple[tuple[FileWarning, ...], list[str]]:
    reports = Reports()
    return read_warnings(value, reports), [str(error) for error in reports.errors]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"type": "odd", "message": "some text is odd", "count": 3}, ("odd", "some text is odd", 3)),
        ({"message": "  short\n"}, ("warning", "short", 1)),
        ("short", ("warning", "short", 1)),
        (UserWarning("deprecated"), ("UserWarning", "deprecated", 1)),
        (UserWarning(), ("UserWarning", "UserWarning", 1)),
        (FileWarning("odd", "text", 2), ("odd", "text", 2)),
        ({"type": "t" * 64, "message": "m" * 300}, ("t" * 64, "m" * 300, 1)),
    ],
)
def test_each_form_of_a_warning_is_read(given: object, shown: tuple[str, str, int]) -> None:
    assert warnings_of([given]) == ((shown,), [])


@pytest.mark.parametrize(
    ("given", "shown", "why"),
    [
        ({"message": "m" * 301}, ("warning", "m" * 299 + "…", 1), "a warning's message must have 1 to 300 characters"),
        ({"type": "t" * 65, "message": "m"}, ("t" * 63 + "…", "m", 1), "a warning's type must have 1 to 64 characters"),
        ({"message": "m", "count": 0}, ("warning", "m", 1), "a warning's count must be from 1 to 2**53 - 1, not 0"),
        ({"message": "m", "count": 1 << 60}, ("warning", "m", (1 << 53) - 1), "a warning's count must be from 1"),
        ({"message": "m", "count": "3"}, ("warning", "m", 1), "a warning's count must be an int or None, not str"),
        ({"message": "m", "page": 3}, ("warning", "m", 1), "a warning has no 'page'; it has type, message, count"),
        ({"type": None, "message": "m"}, ("warning", "m", 1), "a warning's type must be a str, not NoneType"),
    ],
)
def test_a_part_that_does_not_fit_is_mended_and_reported(given: object, shown: object, why: str) -> None:
    found, errors = warnings_of([given])
    assert found == (shown,)
    assert [error.startswith(why) for error in errors] == [True], errors


@pytest.mark.parametrize("given", [{}, {"message": ""}, "  ", {"message": 3.5}, 7, None, Broken(message="m")])
def test_what_is_no_warning_is_left_out_and_reported(given: object) -> None:
    found, errors = warnings_of(["before", given, "after"])
    assert [warning.message for warning in found] == ["before", "after"]
    assert len(errors) == 1


@pytest.mark.parametrize(("given", "count"), [("one", 1), ({"message": "one"}, 1), (UserWarning("one"), 1), (5, 0)])
def test_what_is_no_list_is_reported(given: object, count: int) -> None:
    found, errors = warnings_of(given)
    assert len(found) == count
    assert errors == [f"warnings must be a list, not {type(given).__name__}"]


def test_equal_warnings_are_added_up_and_at_most_20_are_kept() -> None:
    found, errors = warnings_of([f"fault {number % 25}" for number in range(100)])
    assert [warning.message for warning in found] == [f"fault {number}" for number in range(20)]
    assert {warning.cases for warning in found} == {4}
    assert errors == ["a file has at most 20 different warnings; the further ones are left out"]


def test_an_endless_iterable_ends() -> None:
    assert len(warnings_of(f"fault {number}" for number in iter(int, 1))[0]) == 1


def test_merging_adds_counts_in_order() -> None:
    merged = merge_warnings((FileWarning("a", "x", 2),), (FileWarning("b", "y"), FileWarning("a", "x", (1 << 53) - 1)))
    assert merged == (("a", "x", (1 << 53) - 1), ("b", "y", 1))


def test_quality_keeps_numbers_and_unknown_values() -> None:
    reports = Reports()
    given = {"pages": 10, "share": 0.25, "unknown": None, "counted": np.int64(3), "mean": np.float32(0.5), "x" * 64: -1}
    found = read_quality(given, reports)
    assert found == {"pages": 10, "share": 0.25, "unknown": None, "counted": 3, "mean": 0.5, "x" * 64: -1}
    assert [type(value) for value in found.values()] == [int, float, type(None), int, float, int]
    assert reports.errors == []


@pytest.mark.parametrize("bad", [math.nan, math.inf, True, "3", [1], 1 << 2000])
def test_a_figure_that_is_no_finite_number_is_left_out_and_reported(bad: object) -> None:
    reports = Reports()
    assert read_quality({"bad": bad, "good": 1}, reports) == {"good": 1}
    assert len(reports.errors) == 1


@pytest.mark.parametrize("bad", [{1: 2}, {"": 1}, {"x" * 65: 1}, Broken(a=1), [1], "text"])
def test_quality_that_is_no_mapping_of_names_is_reported(bad: object) -> None:
    reports = Reports()
    assert read_quality(bad, reports) is None
    assert len(reports.errors) == 1


def test_at_most_20_figures_are_kept() -> None:
    reports = Reports()
    found = read_quality({f"figure {number}": number for number in range(21)}, reports)
    assert found == {f"figure {number}": number for number in range(20)}
    assert [str(error) for error in reports.errors] == ["quality has at most 20 figures; the further ones are left out"]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=30)
        | st.dictionaries(st.sampled_from(["type", "message", "count", "x"]) | st.integers(), inner, max_size=6)
    ),
    max_leaves=30,
)


@given(anything)
def test_anything_is_read_without_an_error_and_within_the_limits(value: object) -> None:
    for warning in read_warnings(value, Reports()):
        assert 0 < len(warning.type) <= 64
        assert 0 < len(warning.message) <= 300
        assert 0 < warning.cases < 1 << 53
        (warning.type + warning.message).encode()
    assert len(read_warnings(value, Reports())) <= 20
    assert len(read_quality(value, Reports()) or {}) <= 20
