"""The status of files that results from the nodes of one run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from rag_pipeline import PipelineStatus
from rag_pipeline.adapters.file_argument import File
from rag_pipeline.adapters.llama_index_run import UNCHANGED, IngestionRun, node_file
from rag_pipeline.adapters.reporter import Reporter
from tests.adapters.watched import new_pipeline


@dataclass
class LlamaIndexNode:
    node_id: str
    ref_doc_id: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


def node(name: str, of: str | None = None) -> LlamaIndexNode:
    return LlamaIndexNode(name, of)


@pytest.fixture
def pipeline() -> PipelineStatus:
    return new_pipeline()


def run_of(pipeline: PipelineStatus, *, dedupes: bool = False, gone: dict[str, File] | None = None) -> IngestionRun:
    return IngestionRun(Reporter("llama_index", pipeline), dedupes=dedupes, gone=gone)


def results(pipeline: PipelineStatus) -> dict[str, Any]:
    return {file["name"]: file["result"] for file in pipeline.get()["files_completed"]}


@pytest.mark.parametrize(
    ("given", "file"),
    [
        (LlamaIndexNode("1"), File("1", "1")),
        (LlamaIndexNode("1", "7"), File("7", "7")),
        (LlamaIndexNode("1", "7", {"file_name": "a.pdf"}), File("a.pdf", "7")),
        (LlamaIndexNode("1", "7", {"file_name": "a.pdf", "file_path": "/x/a.pdf"}), File("a.pdf", "/x/a.pdf")),
        (LlamaIndexNode("1", None, {"url": "https://example.com"}), File("https://example.com", "https://example.com")),
        (
            LlamaIndexNode("1", None, {"file_path": "a", "file_size": 10, "file_type": "text/plain"}),
            File("a", "a", size=10, mime_type="text/plain"),
        ),
        (LlamaIndexNode("1", None, {"file_path": 7, "file_size": -1, "file_type": None}), File("1", "1")),
    ],
)
def test_the_file_of_a_node_comes_from_its_metadata_or_its_document(given: LlamaIndexNode, file: File) -> None:
    assert node_file(given) == file


def test_pages_of_a_file_are_one_file_and_chunks_are_counted(pipeline: PipelineStatus) -> None:
    run = run_of(pipeline)
    pages = [LlamaIndexNode(str(number), None, {"file_path": "a.pdf"}) for number in range(3)]
    run.add([*pages, node("b")])
    assert pipeline.get()["files_in_flight"] == 2
    run.done([LlamaIndexNode(f"chunk {page.node_id}", page.node_id, page.metadata) for page in pages] * 2)
    assert results(pipeline) == {"a.pdf": {"chunks": 6}, "b": {"chunks": 0}}
    assert pipeline.get()["status"] == "idle"


def test_documents_that_miss_the_first_transformation_are_unchanged(pipeline: PipelineStatus) -> None:
    run = run_of(pipeline, dedupes=True)
    run.add([node("a"), node("b")])
    run.first([node("b"), node("read by the pipeline itself")])
    state = pipeline.get()
    assert [(f["name"], f["error"]["message"]) for f in state["files_skipped"]] == [("a", UNCHANGED)]
    assert [f["name"] for f in state["files_processing"]] == ["b", "read by the pipeline itself"]
    run.done([node("1", "b")])
    assert results(pipeline) == {"b": {"chunks": 1}, "read by the pipeline itself": {"chunks": 0}}


def test_without_a_document_store_nothing_is_left_out(pipeline: PipelineStatus) -> None:
    run = run_of(pipeline)
    run.add([node("a")])
    run.first([])
    run.done([])
    assert results(pipeline) == {"a": {"chunks": 0}}


def test_with_a_full_cache_the_end_shows_what_was_unchanged(pipeline: PipelineStatus) -> None:
    run = run_of(pipeline, dedupes=True)
    run.add([node("a"), node("b")])
    run.done([node("1", "b")])
    assert (results(pipeline), pipeline.get()["total_skipped"]) == ({"b": {"chunks": 1}}, 1)


def test_nodes_with_unknown_document_ids_are_not_counted_by_file(pipeline: PipelineStatus) -> None:
    run = run_of(pipeline, dedupes=True)
    run.add([node("a")])
    run.done([node("1", "an id of last time")])
    assert results(pipeline) == {"a": None}


def test_files_share_the_stage_but_not_the_fraction_of_the_embedding(pipeline: PipelineStatus) -> None:
    run = run_of(pipeline)
    run.add([node("a"), node("b")])
    run.enter("chunking")
    run.enter("embedding", [node("1", "a"), node("2", "a"), node("3", "b"), node("4", "b")])
    run.embedded(3)
    shown = [(file["stage"], file["progress"]) for file in pipeline.get()["files_processing"]]
    assert shown == [("embedding", 1.0), ("embedding", 0.5)]
    run.embedded(5)
    assert [file["progress"] for file in pipeline.get()["files_processing"]] == [1.0, 1.0]


def test_embeddings_of_unknown_nodes_are_no_error(pipeline: PipelineStatus) -> None:
    run = run_of(pipeline)
    run.add([node("a")])
    run.enter("embedding")
    run.embedded(3)
    run.enter("embedding", [node("1", "other")])
    run.embedded(1)
    assert pipeline.get()["files_processing"][0]["progress"] is None


def test_an_error_fails_every_file_of_the_run_in_its_stage(pipeline: PipelineStatus) -> None:
    run = run_of(pipeline, gone={"g": File("g", "g")})
    run.add([node("a"), node("b")])
    run.enter("embedding")
    run.failed(TimeoutError("the model does not answer"))
    state = pipeline.get()
    assert [(f["name"], f["error"]["stage"]) for f in state["files_failed"]] == [("a", "embedding"), ("b", "embedding")]
    assert (state["status"], state["error"]) == ("error", "TimeoutError: the model does not answer")
    assert state["total_deleted"] == 0


def test_gone_files_are_deleted_at_the_end_of_the_run(pipeline: PipelineStatus) -> None:
    run = run_of(pipeline, dedupes=True, gone={"g": File("g.pdf", "g")})
    assert pipeline.get()["total_deleted"] == 0
    run.done([])
    assert pipeline.get()["total_deleted"] == 1
