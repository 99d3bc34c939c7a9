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
from rag_pipeline.sources.runner.toml_table import TomlTable


def table(**values: Any) -> TomlTable:
    return TomlTable("run.toml", "[service]", values)


def error_of(call: Any) -> str:
    with pytest.raises(ConfigurationError) as error:
        call()
    return str(error.value)


def test_values_are_read_by_key_and_missing_ones_get_the_default() -> None:
    one = table(host=" ::1 ", port=8003, wait=2, some=2.5)
    assert one.text("host", "an address") == "::1"
    assert one.required("host", "an address") == "::1"
    assert one.integer("port", 1, low=0, high=65_535) == 8003
    assert one.number("wait", 1.0, low=0, high=10) == 2.0
    assert one.number("some", 1.0, low=0, high=10) == 2.5
    assert (one.text("a", "", "d"), one.integer("b", None, low=0, high=1), one.number("c", 0.5, low=0, high=1)) == (
        "d",
        None,
        0.5,
    )
    one.finish()


@pytest.mark.parametrize(
    ("value", "shown"),
    [(8003, "8003"), (True, "true"), ("", "''"), ([1], "a list"), ({"a": "secret"}, "a table"), ("  ", "'  '")],
)
def test_an_error_names_file_table_key_and_value(value: object, shown: str) -> None:
    assert error_of(lambda: table(host=value).text("host", "an address")) == (
        f"run.toml: [service]: host={shown}: expected an address"
    )


@pytest.mark.parametrize("value", ["8003", True, 1.0, -1, 65_536, [80]])
def test_invalid_integers_are_rejected(value: object) -> None:
    assert "expected a whole number from 0 to 65535" in error_of(
        lambda: table(port=value).integer("port", 1, low=0, high=65_535)
    )


@pytest.mark.parametrize("value", ["2", False, math.nan, math.inf, 0, 11])
def test_invalid_numbers_are_rejected(value: object) -> None:
    assert "expected a number from 0.1 to 10" in error_of(lambda: table(wait=value).number("wait", 1, low=0.1, high=10))


def test_a_required_value_must_not_be_missing() -> None:
    assert error_of(lambda: table().required("folder", "a folder")) == (
        "run.toml: [service]: folder is missing: expected a folder"
    )


def test_relative_paths_start_from_the_folder_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    paths = {"a": "docs", "b": "/docs", "c": "~/docs"}
    found = [table(**paths).path(key, "a folder", Path("/conf")) for key in "abcd"]
    assert found == [Path("/conf/docs"), Path("/docs"), Path("/home/ada/docs"), None]


@pytest.mark.parametrize(
    "value",
    ["me:hunter2@host", '{"private_key": "hunter2"}', "-----BEGIN-----\nhunter2", 16**5000],
    ids=["password", "JSON", "key", "number"],
)
def test_errors_show_no_secrets_and_no_endless_numbers(value: object) -> None:
    calls: list[Callable[[TomlTable], object]] = [
        lambda one: one.reject("k", "a folder"),
        lambda one: one.integer("k", 1, low=0, high=9),
        lambda one: one.number("k", 1, low=0, high=9),
        lambda one: one.variable("k", "the address"),
    ]
    for call in calls:
        line = error_of(partial(call, table(k=value)))
        assert line.startswith("run.toml: [service]: k")
        assert "hunter2" not in line
        assert line.isprintable()


def test_errors_do_not_show_invalid_variable_names() -> None:
    one = table(a="PAPERS_DB", b=" _x1 ")
    assert [one.variable(key, "the address") for key in "abc"] == ["PAPERS_DB", "_x1", None]
    for value in ("postgresql://me:hunter2@h/db", "1hunter2", "hunter2-x", "hunter2\ny", "hunter2é", "h" * 201):
        assert error_of(partial(table(k=value).variable, "k", "the address")) == (
            "run.toml: [service]: k: expected the name of an environment variable that holds the address: "
            "letters, digits and _"
        )


def test_errors_do_not_show_strange_keys() -> None:
    one = table(**{"postgresql://me:hunter2@h/db": 1})
    assert error_of(one.finish) == "run.toml: [service]: unknown key ***: expected "


@pytest.mark.parametrize("value", ["a\0b", "~nobody-of-this-name/docs", 5, ""])
def test_invalid_paths_are_rejected(value: object) -> None:
    assert "docs=" in error_of(lambda: table(docs=value).path("docs", "a folder", Path("/conf")))


def test_unknown_keys_are_rejected_without_their_value() -> None:
    one = table(host="a", pasword="secret")
    one.text("host", "an address")
    one.integer("port", None, low=0, high=1)
    assert error_of(one.finish) == "run.toml: [service]: unknown key 'pasword': expected host, port"


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_any_value_is_read_or_rejected_in_one_bounded_line(value: object) -> None:
    reads: list[Callable[[TomlTable], object]] = [
        lambda one: one.text("k", "x"),
        lambda one: one.integer("k", 0, low=0, high=9),
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
