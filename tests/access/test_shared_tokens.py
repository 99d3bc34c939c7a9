"""Shared tokens: each is accepted, and all of them are compared each time."""

from __future__ import annotations

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.access.shared_tokens import SharedTokens

TOKENS = ("first-token-of-the-house", "second-token-of-the-house", "third-token-of-the-house")


@pytest.mark.parametrize("token", TOKENS)
def test_each_token_is_accepted(token: str) -> None:
    assert token in SharedTokens(TOKENS)


@given(st.text() | st.sampled_from(TOKENS).map(lambda token: token[:-1]))
def test_no_other_token_is_accepted(text: str) -> None:
    assert text not in SharedTokens(TOKENS)


def test_without_tokens_none_is_accepted() -> None:
    assert not SharedTokens(())
    assert "" not in SharedTokens(())


@pytest.mark.parametrize("token", [*TOKENS, "none of them", ""])
def test_every_token_is_compared_by_digests_of_equal_length(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[int, int]] = []
    compare = hmac.compare_digest

    def noting(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", noting)
    assert (token in SharedTokens(TOKENS)) is (token in TOKENS)
    assert compared == [(32, 32)] * 3
