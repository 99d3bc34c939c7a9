"""Claims are read strictly: an invalid one never allows more."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.access.claims import access_from_claims
from rag_pipeline.access.decision import Access, AccessRefusal, RefusalCode

NOW = 1_000.0
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


def names_all(names: object) -> bool:
    """Return whether one of the names means all namespaces."""
    listed = names.split() if isinstance(names, str) else names
    return isinstance(listed, list) and any(name in ("pipeline", "/pipeline", "/") for name in listed)


def test_without_the_claim_all_namespaces_are_allowed_until_the_token_expires() -> None:
    assert access_from_claims({"exp": 1_060}, NOW) == Access(None, 1_060.0)


@pytest.mark.parametrize(
    "names",
    [
        ["/local_files", "/google_drive"],
        ["local_files", "google_drive"],
        "local_files google_drive",
        " /google_drive  local_files",
    ],
)
def test_namespaces_are_a_list_or_a_string_with_or_without_slashes(names: object) -> None:
    assert access_from_claims({"exp": 1_060, "namespaces": names}, NOW) == Access(
        frozenset({"/local_files", "/google_drive"}), 1_060.0
    )


@pytest.mark.parametrize("names", ["/", ["/"], ["/local_files", "/"], "/pipeline"])
def test_the_root_means_pipeline_and_so_all_namespaces(names: object) -> None:
    access = access_from_claims({"exp": 1_060, "namespaces": names}, NOW)
    assert isinstance(access, Access)
    assert not access.limited
    assert all(map(access.allows, ("/pipeline", "/google_drive", "/local_files")))


@pytest.mark.parametrize("names", [[], "", "  ", ["unknown"], [""], ["//"]])
def test_an_empty_or_unknown_name_allows_nothing(names: object) -> None:
    access = access_from_claims({"exp": 1_060, "namespaces": names}, NOW)
    assert isinstance(access, Access)
    assert access.limited
    assert not any(map(access.allows, ("/pipeline", "/google_drive", "/local_files")))


@pytest.mark.parametrize("names", [None, 1, True, {}, {"/pipeline": True}, ["/pipeline", 1], [None], [["/pipeline"]]])
def test_an_invalid_namespaces_claim_is_refused_and_does_not_count_as_missing(names: object) -> None:
    refusal = access_from_claims({"exp": 1_060, "namespaces": names}, NOW)
    assert isinstance(refusal, AccessRefusal)
    assert refusal.code is RefusalCode.TOKEN_INVALID
    assert "namespaces" in refusal.message


@pytest.mark.parametrize("exp", [None, "1060", True, [], {}, math.nan, math.inf, -math.inf, 10**400])
def test_exp_must_be_a_time(exp: object) -> None:
    refusal = access_from_claims({"exp": exp}, NOW)
    assert isinstance(refusal, AccessRefusal)
    assert refusal.code is RefusalCode.TOKEN_INVALID


@pytest.mark.parametrize("exp", [1_000, 999.9, 0, -5])
def test_a_token_is_expired_at_its_exp(exp: float) -> None:
    refusal = access_from_claims({"exp": exp}, NOW)
    assert isinstance(refusal, AccessRefusal)
    assert refusal.code is RefusalCode.TOKEN_EXPIRED


@pytest.mark.slow
@given(st.dictionaries(st.sampled_from(["exp", "namespaces", "sub"]), JSON))
def test_claims_of_any_shape_get_a_decision(claims: dict[str, Any]) -> None:
    decision = access_from_claims(claims, NOW)
    if isinstance(decision, Access):
        assert decision.expires_at is not None
        assert decision.expires_at > NOW
        assert decision.limited or "namespaces" not in claims or names_all(claims["namespaces"])
    else:
        assert "\n" not in decision.message
