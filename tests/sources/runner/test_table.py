"""Values of a table, and the one line for one that can't be used."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.errors import ConfigurationError
from rag_pipeline.sources.runner.table import Table


def table(**values: Any) -> Table:
    return Table("run.toml", "[service]", values)


def said(call: Any) -> str:
    with pytest.raises(ConfigurationError) as error:
        call()
    return str(error.value)


def test_values_are_read_by_key_and_defaults_stand_for_what_is_not_there() -> None:
    one = table(host=" ::1 ", port=8003, wait=2, some=2.5)
    assert one.text("host", "an address") == "::1"
    assert one.required("host", "an address") == "::1"
    assert one.whole("port", 1, low=0, high=65_535) == 8003
    assert one.number("wait", 1.0, low=0, high=10) == 2.0
    assert one.number("some", 1.0, low=0, high=10) == 2.5
    assert (one.text("a", "", "d"), one.whole("b", None, low=0, high=1), one.number("c", 0.5, low=0, high=1)) == (
        "d",
        None,
        0.5,
    )
    one.finish()


@pytest.mark.parametrize(
    ("value", "shown"),
    [(8003, "8003"), (True, "true"), ("", "''"), ([1], "a list"), ({"a": "secret"}, "a table"), ("  ", "'  '")],
)
def test_what_is_no_text_is_told_with_file_table_key_and_value(value: object, shown: str) -> None:
    assert said(lambda: table(host=value).text("host", "an address")) == (
        f"run.toml: [service]: host={shown}: expected an address"
    )


@pytest.mark.parametrize("value", ["8003", True, 1.0, -1, 65_536, [80]])
def test_what_is_no_whole_number_within_bounds_is_told(value: object) -> None:
    assert "expected a whole number from 0 to 65535" in said(
        lambda: table(port=value).whole("port", 1, low=0, high=65_535)
    )


@pytest.mark.parametrize("value", ["2", False, math.nan, math.inf, 0, 11])
def test_what_is_no_number_within_bounds_is_told(value: object) -> None:
    assert "expected a number from 0.1 to 10" in said(lambda: table(wait=value).number("wait", 1, low=0.1, high=10))


def test_a_value_that_has_to_be_there_is_missed() -> None:
    assert said(lambda: table().required("folder", "a folder")) == (
        "run.toml: [service]: folder is missing: expected a folder"
    )


def test_paths_are_relative_to_where_the_file_is_unless_they_say_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    paths = {"a": "docs", "b": "/docs", "c": "~/docs"}
    found = [table(**paths).path(key, "a folder", Path("/conf")) for key in "abcd"]
    assert found == [Path("/conf/docs"), Path("/docs"), Path("/home/ada/docs"), None]


@pytest.mark.parametrize(
    "value",
    ["me:hunter2@host", '{"private_key": "hunter2"}', "-----BEGIN-----\nhunter2", 16**5000],
    ids=["password", "JSON", "key", "number"],
)
def test_what_may_be_a_secret_or_has_no_end_is_not_repeated(value: object) -> None:
    calls: list[Callable[[Table], object]] = [
        lambda one: one.reject("k", "a folder"),
        lambda one: one.whole("k", 1, low=0, high=9),
        lambda one: one.number("k", 1, low=0, high=9),
        lambda one: one.variable("k", "the address"),
    ]
    for call in calls:
        line = said(partial(call, table(k=value)))
        assert line.startswith("run.toml: [service]: k")
        assert "hunter2" not in line
        assert line.isprintable()


def test_a_variable_is_named_and_what_can_be_no_name_not_repeated() -> None:
    one = table(a="PAPERS_DB", b=" _x1 ")
    assert [one.variable(key, "the address") for key in "abc"] == ["PAPERS_DB", "_x1", None]
    for value in ("postgresql://me:hunter2@h/db", "1hunter2", "hunter2-x", "hunter2\ny", "hunter2é", "h" * 201):
        assert said(partial(table(k=value).variable, "k", "the address")) == (
            "run.toml: [service]: k: expected the name of an environment variable that holds the address: "
            "letters, digits and _"
        )


def test_a_key_that_no_table_can_have_is_not_repeated() -> None:
    one = table(**{"postgresql://me:hunter2@h/db": 1})
    assert said(one.finish) == "run.toml: [service]: unknown key ***: expected "


@pytest.mark.parametrize("value", ["a\0b", "~nobody-of-this-name/docs", 5, ""])
def test_what_no_path_can_be_is_told(value: object) -> None:
    assert "docs=" in said(lambda: table(docs=value).path("docs", "a folder", Path("/conf")))


def test_a_key_that_nobody_asked_for_is_unknown_and_its_value_not_repeated() -> None:
    one = table(host="a", pasword="secret")
    one.text("host", "an address")
    one.whole("port", None, low=0, high=1)
    assert said(one.finish) == "run.toml: [service]: unknown key 'pasword': expected host, port"


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_any_value_is_read_or_told_on_one_bounded_line(value: object) -> None:
    reads: list[Callable[[Table], object]] = [
        lambda one: one.text("k", "x"),
        lambda one: one.whole("k", 0, low=0, high=9),
        lambda one: one.number("k", 0, low=0, high=9),
    ]
    for read in reads:
        line = ""
        try:
            read(table(k=value))
        except ConfigurationError as error:
            line = str(error)
        assert line.isprintable()
        assert len(line) < 400
