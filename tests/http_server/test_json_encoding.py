"""JSON that any client can parse."""

from __future__ import annotations

import json
import math
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.http_server.json_encoding import encode_json, encode_text

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


def no_constant(name: str) -> NoReturn:
    raise AssertionError(f"{name} is not JSON")


def test_text_is_utf_8_without_escapes() -> None:
    assert encode_json({"name": "Größe 文.pdf", "n": [1, 2.5, None, True]}) == (
        '{"name":"Größe 文.pdf","n":[1,2.5,null,true]}'.encode()
    )


def test_lone_surrogates_are_replaced() -> None:
    assert encode_json({"a\udcff.pdf": "\ud800"}) == '{"a\ufffd.pdf":"\ufffd"}'.encode()


def test_json_text_is_not_encoded_again() -> None:
    assert encode_text('{"a": "Größe\udcff"}') == '{"a": "Größe�"}'.encode()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_nan_and_infinity_are_null(value: float) -> None:
    assert encode_json({"a": [value, {"b": (value, 1)}]}) == b'{"a":[null,{"b":[null,1]}]}'


def test_a_value_without_a_json_form_raises() -> None:
    with pytest.raises(TypeError):
        encode_json({"a": object()})


@given(VALUES)
def test_any_value_is_strict_json(value: object) -> None:
    json.loads(encode_json(value).decode("utf-8", errors="strict"), parse_constant=no_constant)
