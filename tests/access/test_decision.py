"""What an Access allows."""

from __future__ import annotations

import pytest

from rag_pipeline.access.decision import EVERYTHING, Access, RefusalCode, not_allowed


@pytest.mark.parametrize("namespaces", [None, frozenset({"/pipeline"}), frozenset({"/pipeline", "/local_files"})])
def test_the_pipeline_namespace_allows_all_namespaces(namespaces: frozenset[str] | None) -> None:
    access = Access(namespaces)
    assert not access.limited
    assert all(map(access.allows, ("/pipeline", "/google_drive", "/local_files")))
    assert all(map(access.shows, ("google_drive", "local_files", "sharepoint", None)))


def test_a_limited_access_shows_the_pipelines_of_its_namespaces_only() -> None:
    access = Access(frozenset({"/local_files"}))
    assert access.limited
    assert [n for n in ("/pipeline", "/google_drive", "/local_files") if access.allows(n)] == ["/local_files"]
    assert [t for t in ("google_drive", "local_files", "sharepoint", None) if access.shows(t)] == ["local_files"]


def test_an_access_to_no_namespace_shows_nothing() -> None:
    access = Access(frozenset())
    assert access.limited
    assert not access.allows("/pipeline")
    assert not access.shows("local_files")


def test_everything_does_not_expire() -> None:
    assert EVERYTHING.expires_at is None


def test_the_refusal_names_the_namespace() -> None:
    refusal = not_allowed("/pipeline")
    assert refusal.code is RefusalCode.NAMESPACE_NOT_ALLOWED
    assert "/pipeline" in refusal.message
    assert not refusal.pending
