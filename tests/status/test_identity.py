from __future__ import annotations

import gc
import itertools
import socket
from collections.abc import Iterator

import pytest

from rag_pipeline.status.identity import candidate_ids
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from rag_pipeline.status.registry import registry

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def no_configured_id(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("RAG_PIPELINE_ID", raising=False)
    monkeypatch.setattr(socket, "gethostname", lambda: "box 1")
    yield
    gc.collect()


def test_the_default_id_is_type_and_host() -> None:
    assert list(itertools.islice(candidate_ids("x"), 3)) == ["x-box-1", "x-box-1-2", "x-box-1-3"]
    assert next(iter(candidate_ids(None))) == "pipeline-box-1"
    assert next(iter(candidate_ids("a/b"))) == "a-b-box-1"


def test_a_configured_id_comes_first_and_a_bad_one_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_PIPELINE_ID", " team-a ")
    assert list(itertools.islice(candidate_ids("x"), 2)) == ["team-a", "x-box-1"]
    monkeypatch.setenv("RAG_PIPELINE_ID", "a\nb")
    assert next(iter(candidate_ids("x"))) == "x-box-1"


@pytest.mark.slow
def test_ids_are_unique_and_free_again_once_the_pipeline_is_dropped() -> None:
    first, second = PipelineStatus("reg"), PipelineStatus("reg")
    assert (first.pipeline_id, second.pipeline_id) == ("reg-box-1", "reg-box-1-2")
    del first
    gc.collect()
    assert PipelineStatus("reg").pipeline_id == "reg-box-1"


def test_the_id_is_assigned_by_the_first_report() -> None:
    first, second = PipelineStatus("settle"), PipelineStatus("settle")
    first.close()
    second.update(pipeline_type="other")
    assert second.pipeline_id == "other-box-1"
    second.update(pipeline_type="third")
    assert second.pipeline_id == "other-box-1"


def test_a_given_id_passes_to_the_newer_pipeline_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    first = PipelineStatus("x", "mine")
    second = PipelineStatus("x", "mine")
    assert core_of(first).closed
    assert not core_of(second).closed
    assert [r.message for r in caplog.records] == [
        "pipeline id 'mine' passed to a new PipelineStatus; the older one is no longer shown"
    ]
    first.update(status="running")  # allowed, but not published
    assert first.get()["status"] == "running"
    assert [p for p in registry.all() if p.pipeline_id == "mine"] == [core_of(second)]
