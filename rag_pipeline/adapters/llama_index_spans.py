"""Which spans of LlamaIndex belong to which run of an ingestion pipeline, and what each says of it."""

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
from rag_pipeline.adapters.llama_index_run import Run, file_of_node
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
    """An open span within a run: of the run itself, of one of its transformations, or of anything deeper."""

    run: Run
    reporter: Reporter
    pipeline: IngestionPipeline
    begins: bool = False
    is_run: bool = False
    place: int | None = None


class Spans:
    """The open spans of all runs that are shown; others are not kept."""

    def __init__(self) -> None:
        self._every: Reporter | None = None
        self._some: dict[int, tuple[weakref.ref[IngestionPipeline], Reporter]] = {}
        self._default = Reporter(PIPELINE_TYPE)
        self._open: dict[str, _Span] = {}

    def show(self, pipeline: IngestionPipeline | None, status: PipelineStatus | None) -> None:
        """Show the runs of this pipeline, or of all."""
        reporter = self._default if status is None else Reporter(PIPELINE_TYPE, status)
        if pipeline is None:
            self._every = reporter
            return
        key = id(pipeline)
        self._some[key] = (weakref.ref(pipeline, lambda _: self._some.pop(key, None)), reporter)

    def forget(self) -> None:
        """Show no run any more."""
        self._every = None
        self._some.clear()
        self._open.clear()

    def enter(self, span_id: str, parent_id: str | None, instance: Any, arguments: Mapping[str, Any]) -> None:
        """A span begins."""
        parent = None if parent_id is None else self._open.get(parent_id)
        if isinstance(instance, IngestionPipeline) and (parent is None or parent.pipeline is not instance):
            reporter = self._reporter_of(instance)
            if reporter is not None:
                reporter.attempt(self._begin, span_id, instance, reporter, arguments)
        elif parent is not None:
            parent.reporter.attempt(self._within, span_id, parent, instance, arguments)

    def leave(self, span_id: str, result: Any) -> None:
        """A span ends."""
        span = self._open.pop(span_id, None)
        if span is None:
            return
        if span.begins:
            span.reporter.attempt(span.run.done, result or ())
        elif span.place is not None:
            span.reporter.attempt(self._transformed, span, result)

    def drop(self, span_id: str, error: BaseException | None) -> None:
        """A span ends by an error."""
        span = self._open.pop(span_id, None)
        if span is not None and span.begins:
            span.reporter.attempt(span.run.failed, error or RuntimeError("the run was given up"))

    def embedded(self, span_id: str, count: int) -> None:
        """So many texts have got their embeddings within the span."""
        span = self._open.get(span_id)
        if span is not None:
            span.reporter.attempt(span.run.embedded, count)

    def _reporter_of(self, pipeline: IngestionPipeline) -> Reporter | None:
        shown = self._some.get(id(pipeline))
        return shown[1] if shown is not None and shown[0]() is pipeline else self._every

    def _begin(
        self, span_id: str, pipeline: IngestionPipeline, reporter: Reporter, arguments: Mapping[str, Any]
    ) -> None:
        given = [*(arguments.get("documents") or ()), *(arguments.get("nodes") or ()), *(pipeline.documents or ())]
        run = Run(reporter, dedupes=pipeline.docstore is not None, gone=_gone(pipeline, given))
        self._open[span_id] = _Span(run, reporter, pipeline, begins=True, is_run=True)
        run.add(given)
        workers = arguments.get("num_workers") or 1
        if workers > 1:  # their spans are in other processes
            run.enter("transforming")

    def _within(self, span_id: str, parent: _Span, instance: Any, arguments: Mapping[str, Any]) -> None:
        """A span begins in another one; those directly in a run are its transformations."""
        place = _place_of(instance, parent.pipeline) if parent.is_run else None
        again = parent.is_run and instance is parent.pipeline  # a subclass whose run() calls that of its base
        self._open[span_id] = _Span(parent.run, parent.reporter, parent.pipeline, is_run=again, place=place)
        if place is None:
            return
        nodes = arguments.get("nodes")
        if nodes is not None and place == 0:
            parent.run.first(nodes)
        if nodes is None:  # called asynchronously: these came out of the transformation before
            nodes = parent.run.nodes
        parent.run.enter(_stage_of(instance), nodes if isinstance(instance, BaseEmbedding) else ())

    def _transformed(self, span: _Span, result: Any) -> None:
        """A transformation is through; after the last one comes the store."""
        if isinstance(result, Sequence) and result and isinstance(result[0], BaseNode):
            span.run.nodes = result
        stores = span.pipeline.vector_store is not None or span.pipeline.docstore is not None
        if stores and span.place == len(span.pipeline.transformations) - 1:
            span.run.enter("storing")


def _place_of(instance: Any, pipeline: IngestionPipeline) -> int | None:
    places = (place for place, one in enumerate(pipeline.transformations) if one is instance)
    return next(places, None)


def _stage_of(transformation: Any) -> str:
    known = (stage for kind, stage in _STAGES if isinstance(transformation, kind))
    return next(known, type(transformation).__name__)


def _gone(pipeline: IngestionPipeline, given: Sequence[BaseNode]) -> dict[str, File]:
    """Return the files that the run will delete, since they are stored and not given any more.

    Only where the store is in memory: asking another one would cost the run what it costs.
    """
    store = pipeline.docstore
    if pipeline.docstore_strategy is not DocstoreStrategy.UPSERTS_AND_DELETE or pipeline.vector_store is None:
        return {}
    if not isinstance(store, SimpleDocumentStore) or pipeline.readers:
        return {}
    ids = {node.ref_doc_id or node.id_ for node in given}
    here = {file_of_node(node).id for node in given}
    gone: dict[str, File] = {}
    for key in set(store.get_all_document_hashes().values()) - ids:
        node = store.get_document(key, raise_error=False)
        file = File(key, key) if node is None else file_of_node(node)
        if file.id is not None and file.id not in here:
            gone[file.id] = file
    return gone
