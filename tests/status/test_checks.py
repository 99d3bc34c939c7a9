from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.contract.events import iso
from rag_pipeline.status import checks


class Text(str):
    __slots__ = ()


class Colour(str, Enum):  # noqa: UP042 - the older spelling is what callers may have
    RED = "red"


class Level(IntEnum):
    HIGH = 3


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None, exclude_categories=()))
    | st.binary()
    | st.datetimes(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=8,
)
CHECKS = (
    checks.check_name,
    checks.check_optional_name,
    checks.check_label,
    checks.check_fraction,
    checks.check_number,
    checks.check_count,
    checks.check_bool,
    checks.check_time,
    checks.check_message,
)


@pytest.mark.slow
@given(st.sampled_from(CHECKS), ANYTHING)
def test_a_check_returns_json_or_raises_type_or_value_error(check: Any, value: object) -> None:
    refused = None
    kept = None
    try:
        kept = check("key", value)
    except (TypeError, ValueError) as error:
        refused = error
    assert refused is None or "key" in str(refused)
    assert not isinstance(refused, UnicodeError)
    json.dumps(kept, allow_nan=False, ensure_ascii=False).encode()


def test_names_are_bounded() -> None:
    assert checks.check_name("filename", "x" * 4096) == "x" * 4096
    for bad in ("", "x" * 4097, "ü" * 4097):
        with pytest.raises(ValueError, match="filename must have 1 to 4096 characters"):
            checks.check_name("filename", bad)
    for wrong in (None, 3.5, b"a", True):
        with pytest.raises(TypeError, match="filename must be a str, a path, an int or a UUID"):
            checks.check_name("filename", wrong)


def test_paths_whole_numbers_and_uuids_are_names() -> None:
    number = UUID("12345678-1234-5678-1234-567812345678")
    given = (Path("inbox") / "a.pdf", 7, number, Level.HIGH, Colour.RED)
    assert [checks.check_name("filename", one) for one in given] == ["inbox/a.pdf", "7", str(number), "3", "red"]
    assert {type(checks.check_name("filename", one)) for one in given} == {str}


def test_names_that_are_not_utf8_become_readable() -> None:
    assert checks.check_name("filename", b"caf\xe9.txt".decode(errors="surrogateescape")) == "caf\\xe9.txt"
    assert checks.check_name("filename", "half \ud83d pair") == "half \\xed\\xa0\\xbd pair"
    assert checks.check_name("filename", "Größe 文書 😀") == "Größe 文書 😀"


def test_subclasses_of_str_are_kept_as_plain_str() -> None:
    for check in (checks.check_name, checks.check_label, checks.check_message):
        assert type(check("key", Text("a"))) is str
        assert check("key", Colour.RED) == "red"
        assert type(check("key", Colour.RED)) is str


def test_labels_are_bounded() -> None:
    assert checks.check_label("stage", "chunking") == "chunking"
    for bad in ("", "x" * 201, "ü" * 201):
        with pytest.raises(ValueError, match="stage must have 1 to 200"):
            checks.check_label("stage", bad)
    with pytest.raises(TypeError):
        checks.check_label("stage", 1)


def test_fractions_run_from_0_to_1() -> None:
    assert [checks.check_fraction("p", v) for v in (None, 0, 0.5, 1)] == [None, 0, 0.5, 1]
    for bad in (-0.1, 1.0001, math.nan, math.inf, 10**400, -(10**400)):
        with pytest.raises(ValueError, match="p must be"):
            checks.check_fraction("p", bad)
    assert checks.check_fraction("p", Decimal("0.5")) == 0.5
    for wrong in (True, "0.5", 1j):
        with pytest.raises(TypeError):
            checks.check_fraction("p", wrong)


def test_counts_are_whole_and_not_negative() -> None:
    assert [checks.check_count("n", v) for v in (None, 0, 2**63 - 1)] == [None, 0, 2**63 - 1]
    for bad in (-1, 2**63):
        with pytest.raises(ValueError):
            checks.check_count("n", bad)
    for wrong in (True, 1.0, "1"):
        with pytest.raises(TypeError):
            checks.check_count("n", wrong)


def test_times_are_datetimes_text_or_seconds() -> None:
    noon = datetime(2024, 5, 1, 12, tzinfo=UTC)
    assert checks.check_time("t", noon) == noon.timestamp()
    assert checks.check_time("t", "2024-05-01T14:00:00+02:00") == noon.timestamp()
    assert checks.check_time("t", "2024-05-01T12:00:00Z") == noon.timestamp()
    assert checks.check_time("t", noon.timestamp()) == noon.timestamp()
    assert checks.check_time("t", noon.replace(tzinfo=None).astimezone().replace(tzinfo=None)) is not None
    assert checks.check_time("t", None) is None


@pytest.mark.parametrize(
    "bad",
    [
        "soon",
        "9999-12-31T23:59:59-12:00",  # the year 10000 in UTC
        "0001-01-01T00:00:00+12:00",
        datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(timedelta(hours=-2))),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))),
        1e300,
        10**400,
        -1,
        math.nan,
    ],
)
def test_a_time_out_of_range_is_an_error(bad: object) -> None:
    with pytest.raises(ValueError, match="t "):
        checks.check_time("t", bad)


@given(st.datetimes(timezones=st.timezones()) | st.floats() | st.integers())
def test_an_accepted_time_can_be_formatted(value: object) -> None:
    try:
        kept = checks.check_time("t", value)
    except ValueError:
        return
    assert iso(kept)


def test_messages_are_bounded_and_not_empty() -> None:
    assert checks.check_message("reason", "  too large  ") == "too large"
    long = checks.check_message("reason", "x" * 5000)
    assert len(long) == 1000
    assert long.endswith("…")
    for bad in ("", " \n "):
        with pytest.raises(ValueError):
            checks.check_message("reason", bad)
    with pytest.raises(TypeError):
        checks.check_message("reason", None)
