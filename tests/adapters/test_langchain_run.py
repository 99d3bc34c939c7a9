"""The status of files that results from the calls of one run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline import PipelineStatus
from rag_pipeline.adapters import langchain_run
from rag_pipeline.adapters.langchain_run import UNNAMED, IndexingRun
from rag_pipeline.adapters.reporter import Reporter
from rag_pipeline.status.pipeline import core_of
from tests.adapters.watched import new_pipeline


@dataclass
class Doc:
    id: str | None
    metadata: dict[Any, Any] = field(default_factory=dict)


def doc(source: str | None, key: str | None = None) -> Doc:
    return Doc(key, {} if source is None else {"source": source})


@pytest.fixture
def pipeline() -> PipelineStatus:
    return new_pipeline()


def index(run: IndexingRun, *documents: tuple[str, str], exist: set[str] = frozenset()) -> None:  # type: ignore[assignment]
    """Index one batch, given the source and key of each document."""
    for source, _ in documents:
        run.taken(doc(source))
    keys = dict.fromkeys(key for _, key in documents)
    sources = {key: source for source, key in reversed(documents)}
    for key in keys:
        run.keyed(doc(sources[key], key))
    run.looked_up(list(keys), [key in exist for key in keys])
    run.written()


def results(pipeline: PipelineStatus) -> dict[str, Any]:
    return {file["name"]: file["result"] for file in pipeline.get()["files_completed"]}


def test_a_file_ends_once_another_one_has_come(pipeline: PipelineStatus) -> None:
    run = IndexingRun(Reporter("langchain", pipeline))
    index(run, ("a", "1"), ("a", "2"), ("b", "3"))
    assert results(pipeline) == {"a": {"added": 2, "updated": 0, "skipped": 0}}
    index(run, ("b", "4"), ("b", "5"))
    assert "b" not in results(pipeline)
    run.done({"num_added": 5})
    assert results(pipeline)["b"] == {"added": 3, "updated": 0, "skipped": 0}
    state = pipeline.get()
    assert (state["status"], state["documents_added"], state["documents_deleted"]) == ("idle", 5, 0)


def test_an_unchanged_file_is_skipped(pipeline: PipelineStatus) -> None:
    run = IndexingRun(Reporter("langchain", pipeline))
    index(run, ("a", "1"), ("a", "2"), ("b", "3"), ("b", "4"), exist={"1", "2", "4"})
    run.done({})
    state = pipeline.get()
    assert state["files_skipped"][0]["error"]["message"] == "unchanged: all 2 documents are indexed already"
    assert results(pipeline) == {"b": {"added": 1, "updated": 0, "skipped": 1}}


def test_duplicate_documents_are_skipped_once(pipeline: PipelineStatus) -> None:
    run = IndexingRun(Reporter("langchain", pipeline))
    index(run, ("a", "1"), ("a", "1"), ("a", "2"))
    run.done({})
    assert results(pipeline) == {"a": {"added": 2, "updated": 0, "skipped": 1}}


def test_forced_documents_are_updated(pipeline: PipelineStatus) -> None:
    run = IndexingRun(Reporter("langchain", pipeline), force_update=True)
    index(run, ("a", "1"), ("a", "2"), exist={"1"})
    run.done({})
    assert results(pipeline) == {"a": {"added": 1, "updated": 1, "skipped": 0}}


def test_stages_are_loading_and_storing(pipeline: PipelineStatus) -> None:
    run = IndexingRun(Reporter("langchain", pipeline))
    for source in ("a", "b"):
        run.taken(doc(source))
    assert [file["stage"] for file in pipeline.get()["files_processing"]] == ["loading", "loading"]
    for source, key in (("a", "1"), ("b", "2")):
        run.keyed(doc(source, key))
    run.looked_up(["1", "2"], [True, False])
    assert [file["stage"] for file in pipeline.get()["files_processing"]] == ["loading", "storing"]


def test_an_error_fails_the_files_in_flight_only(pipeline: PipelineStatus) -> None:
    run = IndexingRun(Reporter("langchain", pipeline))
    index(run, ("a", "1"), ("b", "2"))
    run.taken(doc("c"))
    run.failed(ConnectionError("the store is gone"))
    state = pipeline.get()
    assert [file["name"] for file in state["files_failed"]] == ["b", "c"]
    assert state["files_failed"][0]["error"]["type"] == "ConnectionError"
    assert (state["total_processed"], state["files_in_flight"]) == (1, 0)
    assert (state["status"], state["error"]) == ("error", "ConnectionError: the store is gone")
    IndexingRun(Reporter("langchain", pipeline))
    assert (pipeline.get()["status"], pipeline.get().get("error")) == ("processing", None)


def test_files_that_the_source_no_longer_has_are_deleted_once(pipeline: PipelineStatus) -> None:
    run = IndexingRun(Reporter("langchain", pipeline), finds_gone=True)
    index(run, ("a", "1"))
    for batch in (["a", "b", "b"], ["b", "c", None]):
        run.about_to_delete([doc(source) for source in batch])
        run.deleted()
    assert pipeline.get()["total_deleted"] == 2


def test_only_deleted_documents_count_as_deleted(pipeline: PipelineStatus) -> None:
    run = IndexingRun(Reporter("langchain", pipeline), finds_gone=True)
    run.about_to_delete([doc("a")])
    run.failed(OSError("no"))
    assert pipeline.get()["total_deleted"] == 0


def test_the_number_of_remembered_sources_is_bounded(pipeline: PipelineStatus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(langchain_run, "MAX_SOURCES_REMEMBERED", 2)
    run = IndexingRun(Reporter("langchain", pipeline), finds_gone=True)
    for source in ("a", "b", "c"):
        index(run, (source, source))
    assert not run.finds_gone
    run.about_to_delete([doc("d")])
    run.deleted()
    assert pipeline.get()["total_deleted"] == 0


@pytest.mark.parametrize(
    ("metadata", "name"),
    [
        ({"source": "a.pdf", "file_path": "b.pdf"}, "a.pdf"),
        ({"file_path": "b.pdf"}, "b.pdf"),
        ({"url": "https://example.com/c"}, "https://example.com/c"),
        ({"source": 7}, UNNAMED),
        ({}, UNNAMED),
    ],
)
def test_a_file_is_named_by_the_metadata_of_its_documents(
    pipeline: PipelineStatus, metadata: dict[str, object], name: str
) -> None:
    IndexingRun(Reporter("langchain", pipeline)).taken(Doc("1", dict(metadata)))
    assert pipeline.get()["files_processing"][0]["name"] == name


def test_the_users_source_key_comes_first(pipeline: PipelineStatus) -> None:
    IndexingRun(Reporter("langchain", pipeline), source_key="page").taken(Doc("1", {"source": "a", "page": "a#1"}))
    assert pipeline.get()["files_processing"][0]["name"] == "a#1"


@pytest.mark.slow
@given(
    batches=st.lists(
        st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9).map(str)), min_size=1, max_size=6), max_size=6
    ),
    exist=st.sets(st.integers(0, 9).map(str)),
)
def test_every_document_is_counted_once_and_no_file_stays_in_flight(
    batches: list[list[tuple[str, str]]], exist: set[str]
) -> None:
    pipeline = PipelineStatus("langchain", "adapter-test-batches")
    counted: list[dict[str, int]] = []

    class Counting(Reporter):
        def complete(self, file: Any, result: Any = None) -> None:
            counted.append(result)
            super().complete(file, result)

        def skip(self, file: Any, reason: str) -> None:
            counted.append({"skipped": int(reason.split()[2])})
            super().skip(file, reason)

    run = IndexingRun(Counting("langchain", pipeline))
    for batch in batches:
        index(run, *((source, source + key) for source, key in batch), exist=exist)
    run.done({})
    assert sum(sum(result.values()) for result in counted) == sum(map(len, batches))
    state = pipeline.get()
    assert state["files_in_flight"] == 0
    assert sum(core_of(pipeline).snapshot().attempts) == len(counted)
    assert state["total_processed"] + state["total_skipped"] == len(
        {source for batch in batches for source, _ in batch}
    )
