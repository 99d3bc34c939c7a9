"""Which Authorization headers carry a token."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.access.bearer import bearer_token


@pytest.mark.parametrize("header", ["Bearer abc", "bearer abc", "BEARER   abc", "  Bearer abc "])
def test_the_scheme_is_read_in_any_case(header: str) -> None:
    assert bearer_token(header) == "abc"


@pytest.mark.parametrize(
    "header", [None, "", "abc", "Basic YTpi", "Bearer", "Bearer ", "Bearer a b", "Bearer a, Bearer b", "Bearer a,b"]
)
def test_all_else_carries_none(header: str | None) -> None:
    assert bearer_token(header) is None


@given(st.from_regex(r"[A-Za-z0-9._~+/-]{1,50}=*", fullmatch=True))
def test_every_token_comes_back_as_it_was_sent(token: str) -> None:
    assert bearer_token(f"Bearer {token}") == token


@given(st.text())
def test_no_header_does_anything_but_give_a_token_or_none(header: str) -> None:
    token = bearer_token(header)
    assert token is None or (token in header and not any(c.isspace() for c in token))
