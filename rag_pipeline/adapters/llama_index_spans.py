"""Assigns LlamaIndex's spans to the runs of ingestion pipelines, and derives stages from them."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.extractors import BaseExtractor
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.node_parser import NodeParser
from llama_index.core.schema import BaseNode
from llama_index.core.storage.docstore import SimpleDocumentStore

from rag_pipeline.adapters.file_argument import File
from rag_pipeline.adapters.llama_index_run import IngestionRun, node_file
from rag_pipeline.adapters.reporter import Reporter
from rag_pipeline.status.pipeline import PipelineStatus

PIPELINE_TYPE = "llama_index"
_STAGES: tuple[tuple[type, str], ...] = (
    (NodeParser, "chunking"),
    (BaseExtractor, "extracting metadata"),
    (BaseEmbedding, "embedding"),
)


@dataclass(frozen=True, slots=True)
class _Span:
    """An open span: the run itself, one of its transformations, or a span inside those.

    ``index`` is the position of the transformation in the pipeline.
    """

    run: IngestionRun
    reporter: Reporter
    pipeline: IngestionPipeline
    is_root: bool = False
    is_run: bool = False
    index: int | None = None


class SpanTracker:
    """The open spans of reported runs; other spans are not kept."""

    def __init__(self) -> None:
        self._every_pipeline: Reporter | None = None
        self._by_pipeline: dict[int, tuple[weakref.ref[IngestionPipeline], Reporter]] = {}
        self._default = Reporter(PIPELINE_TYPE)
        self._open: dict[str, _Span] = {}

    def show(self, pipeline: IngestionPipeline | None, status: PipelineStatus | None) -> None:
        """Report the runs of this pipeline, or of all."""
        reporter = self._default if status is None else Reporter(PIPELINE_TYPE, status)
        if pipeline is None:
            self._every_pipeline = reporter
            return
        key = id(pipeline)
        self._by_pipeline[key] = (weakref.ref(pipeline, lambda _: self._by_pipeline.pop(key, None)), reporter)

    def clear(self) -> None:
        """Report no run any more."""
        self._every_pipeline = None
        self._by_pipeline.clear()
        self._open.clear()

    def enter(self, span_id: str, parent_id: str | None, instance: Any, arguments: Mapping[str, Any]) -> None:
        """Handle the start of a span."""
        parent = None if parent_id is None else self._open.get(parent_id)
        if isinstance(instance, IngestionPipeline) and (parent is None or parent.pipeline is not instance):
            reporter = self._reporter_of(instance)
            if reporter is not None:
                reporter.attempt(self._begin, span_id, instance, reporter, arguments)
        elif parent is not None:
            parent.reporter.attempt(self._within, span_id, parent, instance, arguments)

    def leave(self, span_id: str, result: Any) -> None:
        """Handle the end of a span."""
        span = self._open.pop(span_id, None)
        if span is None:
            return
        if span.is_root:
            span.reporter.attempt(span.run.done, result or ())
        elif span.index is not None:
            span.reporter.attempt(self._transformed, span, result)

    def drop(self, span_id: str, error: BaseException | None) -> None:
        """Handle the end of a span by an error."""
        span = self._open.pop(span_id, None)
        if span is not None and span.is_root:
            span.reporter.attempt(span.run.failed, error or RuntimeError("the run was given up"))

    def embedded(self, span_id: str, count: int) -> None:
        """Report that ``count`` texts have got their embeddings within the span."""
        span = self._open.get(span_id)
        if span is not None:
            span.reporter.attempt(span.run.embedded, count)

    def _reporter_of(self, pipeline: IngestionPipeline) -> Reporter | None:
        entry = self._by_pipeline.get(id(pipeline))
        return entry[1] if entry is not None and entry[0]() is pipeline else self._every_pipeline

    def _begin(
        self, span_id: str, pipeline: IngestionPipeline, reporter: Reporter, arguments: Mapping[str, Any]
    ) -> None:
        given = [*(arguments.get("documents") or ()), *(arguments.get("nodes") or ()), *(pipeline.documents or ())]
        run = IngestionRun(reporter, dedupes=pipeline.docstore is not None, gone=_gone(pipeline, given))
        self._open[span_id] = _Span(run, reporter, pipeline, is_root=True, is_run=True)
        run.add(given)
        workers = arguments.get("num_workers") or 1
        if workers > 1:  # their spans are in other processes
            run.enter("transforming")

    def _within(self, span_id: str, parent: _Span, instance: Any, arguments: Mapping[str, Any]) -> None:
        """Handle a span inside another one; spans directly inside a run are its transformations."""
        index = _index_of(instance, parent.pipeline) if parent.is_run else None
        is_run = parent.is_run and instance is parent.pipeline  # a subclass whose run() calls that of its base
        self._open[span_id] = _Span(parent.run, parent.reporter, parent.pipeline, is_run=is_run, index=index)
        if index is None:
            return
        nodes = arguments.get("nodes")
        if nodes is not None and index == 0:
            parent.run.first(nodes)
        if nodes is None:  # in an async call: the output of the transformation before
            nodes = parent.run.nodes
        parent.run.enter(_stage_of(instance), nodes if isinstance(instance, BaseEmbedding) else ())

    def _transformed(self, span: _Span, result: Any) -> None:
        """Handle the end of a transformation; after the last one comes the store."""
        if isinstance(result, Sequence) and result and isinstance(result[0], BaseNode):
            span.run.nodes = result
        stores = span.pipeline.vector_store is not None or span.pipeline.docstore is not None
        if stores and span.index == len(span.pipeline.transformations) - 1:
            span.run.enter("storing")


def _index_of(instance: Any, pipeline: IngestionPipeline) -> int | None:
    indexes = (index for index, each in enumerate(pipeline.transformations) if each is instance)
    return next(indexes, None)


def _stage_of(transformation: Any) -> str:
    stages = (stage for kind, stage in _STAGES if isinstance(transformation, kind))
    return next(stages, type(transformation).__name__)


def _gone(pipeline: IngestionPipeline, given: Sequence[BaseNode]) -> dict[str, File]:
    """Return the files that the run will delete, because they are stored but no longer among its documents.

    Only for a store in memory: queries to another one would slow the run down.
    """
    store = pipeline.docstore
    if pipeline.docstore_strategy is not DocstoreStrategy.UPSERTS_AND_DELETE or pipeline.vector_store is None:
        return {}
    if not isinstance(store, SimpleDocumentStore) or pipeline.readers:
        return {}
    ids = {node.ref_doc_id or node.id_ for node in given}
    given_files = {node_file(node).id for node in given}
    gone: dict[str, File] = {}
    for key in set(store.get_all_document_hashes().values()) - ids:
        node = store.get_document(key, raise_error=False)
        file = File(key, key) if node is None else node_file(node)
        if file.id is not None and file.id not in given_files:
            gone[file.id] = file
    return gone
