"""Bearer tokens in the Authorization header."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.access.bearer import bearer_token


@pytest.mark.parametrize("header", ["Bearer abc", "bearer abc", "BEARER   abc", "  Bearer abc "])
def test_the_scheme_is_case_insensitive(header: str) -> None:
    assert bearer_token(header) == "abc"


@pytest.mark.parametrize(
    "header", [None, "", "abc", "Basic YTpi", "Bearer", "Bearer ", "Bearer a b", "Bearer a, Bearer b", "Bearer a,b"]
)
def test_other_headers_have_no_token(header: str | None) -> None:
    assert bearer_token(header) is None


@pytest.mark.slow
@given(st.from_regex(r"[A-Za-z0-9._~+/-]{1,50}=*", fullmatch=True))
def test_every_token_is_returned_unchanged(token: str) -> None:
    assert bearer_token(f"Bearer {token}") == token


@given(st.text())
def test_any_header_gives_a_token_or_none(header: str) -> None:
    token = bearer_token(header)
    assert token is None or (token in header and not any(c.isspace() for c in token))
