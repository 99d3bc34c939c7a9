"""Assignment of spans to runs in unusual cases, and what is forgotten."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from llama_index.core import Document, MockEmbedding
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores import SimpleVectorStore

from rag_pipeline import PipelineStatus
from rag_pipeline.adapters.llama_index_spans import SpanTracker
from rag_pipeline.status.pipeline import core_of
from tests.adapters.watched import new_pipeline

SPLITTER, EMBEDDING = SentenceSplitter(), MockEmbedding(embed_dim=2)


@pytest.fixture
def status() -> PipelineStatus:
    return new_pipeline("llama_index")


def ingestion(**fields: Any) -> IngestionPipeline:
    return IngestionPipeline(transformations=[SPLITTER, EMBEDDING], **fields)


def documents(*names: str) -> list[Document]:
    return [Document(text=name, id_=name) for name in names]


def test_spans_outside_of_a_run_are_not_kept(status: PipelineStatus) -> None:
    spans = SpanTracker()
    spans.show(None, status)
    spans.enter("query", None, EMBEDDING, {"texts": ["q"]})
    spans.embedded("query", 1)
    spans.leave("query", None)
    spans.drop("never begun", None)
    assert not core_of(status).reported
    assert not spans._open


def test_only_chosen_pipelines_are_reported(status: PipelineStatus) -> None:
    spans, shown, other = SpanTracker(), ingestion(), ingestion()
    spans.enter("0", None, other, {"documents": documents("a")})
    spans.show(shown, status)
    spans.enter("1", None, other, {"documents": documents("a")})
    spans.enter("2", None, shown, {"documents": documents("b")})
    assert [file["name"] for file in status.get()["files_processing"]] == ["b"]
    spans.clear()
    spans.enter("3", None, shown, {"documents": documents("c")})
    assert not spans._open


@pytest.mark.slow
def test_a_garbage_collected_pipeline_is_forgotten(status: PipelineStatus) -> None:
    spans, pipeline = SpanTracker(), ingestion()
    spans.show(pipeline, status)
    del pipeline
    gc.collect()
    assert not spans._by_pipeline


def test_nothing_is_kept_of_a_finished_run(status: PipelineStatus) -> None:
    spans, pipeline = SpanTracker(), ingestion()
    spans.show(None, status)
    spans.enter("run", None, pipeline, {"documents": documents("a")})
    spans.enter("split", "run", SPLITTER, {"nodes": documents("a")})
    spans.enter("deeper", "split", SPLITTER, {})
    spans.leave("deeper", None)
    spans.drop("split", OSError("no"))
    spans.drop("run", OSError("no"))
    assert not spans._open
    assert status.get()["files_failed"][0]["error"] == {
        "type": "OSError", "message": "no", "stage": "chunking", "retryable": False,
    }  # fmt: skip


def test_a_subclass_run_that_calls_its_base_is_one_run(status: PipelineStatus) -> None:
    spans, pipeline = SpanTracker(), ingestion()
    spans.show(None, status)
    spans.enter("outer", None, pipeline, {"documents": documents("a")})
    spans.enter("inner", "outer", pipeline, {"documents": documents("a")})
    spans.enter("split", "inner", SPLITTER, {"nodes": documents("a")})
    assert status.get()["files_processing"][0]["stage"] == "chunking"
    for span in ("split", "inner"):
        spans.leave(span, [])
    assert status.get()["files_in_flight"] == 1
    spans.leave("outer", [])
    assert status.get()["total_processed"] == 1


def test_a_run_inside_a_transformation_is_a_separate_run(status: PipelineStatus) -> None:
    spans, outer, inner = SpanTracker(), ingestion(), ingestion()
    spans.show(None, status)
    spans.enter("outer", None, outer, {"documents": documents("a")})
    spans.enter("inner", "outer", inner, {"documents": documents("b")})
    spans.leave("inner", [])
    assert [file["name"] for file in status.get()["files_completed"]] == ["b"]
    assert [file["name"] for file in status.get()["files_processing"]] == ["a"]


def test_workers_in_other_processes_are_one_stage(status: PipelineStatus) -> None:
    spans = SpanTracker()
    spans.show(None, status)
    spans.enter("run", None, ingestion(), {"documents": documents("a"), "num_workers": 2})
    assert status.get()["files_processing"][0]["stage"] == "transforming"


def stored(strategy: DocstoreStrategy, **fields: Any) -> IngestionPipeline:
    store = SimpleDocumentStore()
    store.add_documents(documents("kept", "gone"))
    store.set_document_hashes({"kept": "1", "gone": "2"})
    return ingestion(docstore=store, docstore_strategy=strategy, vector_store=SimpleVectorStore(), **fields)


@pytest.mark.parametrize(
    ("strategy", "deleted"),
    [
        (DocstoreStrategy.UPSERTS_AND_DELETE, 1),
        (DocstoreStrategy.UPSERTS, 0),
        (DocstoreStrategy.DUPLICATES_ONLY, 0),
    ],
)
def test_the_deletions_of_a_run_are_read_from_its_store(
    status: PipelineStatus, strategy: DocstoreStrategy, deleted: int
) -> None:
    spans = SpanTracker()
    spans.show(None, status)
    spans.enter("run", None, stored(strategy), {"documents": documents("kept")})
    spans.leave("run", [])
    assert status.get()["total_deleted"] == deleted
