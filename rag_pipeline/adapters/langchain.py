"""Reports LangChain's indexing: ``index`` and ``aindex`` with the same arguments, results and errors.

Import them after LangChain's own::

    from rag_pipeline.adapters.langchain import aindex, index

They call LangChain's functions with wrapped arguments that observe the documents, their keys and the calls to the
record manager. The user's objects are not changed.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import Any

from rag_pipeline.adapters.langchain_run import IndexingRun
from rag_pipeline.adapters.libraries import require_library
from rag_pipeline.adapters.reporter import Reporter
from rag_pipeline.status.pipeline import PipelineStatus

require_library("langchain_core", "langchain-core", "langchain")

from langchain_core import indexing  # noqa: E402 - after the check that it is installed
from langchain_core.document_loaders import BaseLoader  # noqa: E402
from langchain_core.documents import Document  # noqa: E402
from langchain_core.indexing import IndexingResult, RecordManager  # noqa: E402

from rag_pipeline.adapters.langchain_records import ObservedRecordManager  # noqa: E402

PIPELINE_TYPE = "langchain"
_NEED_SOURCES = ("incremental", "scoped_full")

_reporter = Reporter(PIPELINE_TYPE)


def report_to(status: PipelineStatus) -> None:
    """Report to this pipeline from now on; you start the service yourself."""
    global _reporter
    _reporter = Reporter(PIPELINE_TYPE, status)


def index(
    docs_source: BaseLoader | Iterable[Document], record_manager: RecordManager, vector_store: Any, **options: Any
) -> IndexingResult:
    """Call ``langchain_core.indexing.index`` with the same arguments, and report the files of the documents."""
    run = _run(options)
    records = ObservedRecordManager(record_manager, vector_store, run, _reporter)
    try:
        result = indexing.index(_observed(docs_source, run), records, vector_store, **_observing_keys(options, run))
    except BaseException as error:
        _reporter.attempt(run.failed, error)
        raise
    _reporter.attempt(run.done, result)
    return result


async def aindex(
    docs_source: BaseLoader | Iterable[Document] | AsyncIterator[Document],
    record_manager: RecordManager,
    vector_store: Any,
    **options: Any,
) -> IndexingResult:
    """Call ``langchain_core.indexing.aindex`` with the same arguments, and report the files of the documents."""
    run = _run(options)
    records = ObservedRecordManager(record_manager, vector_store, run, _reporter)
    try:
        result = await indexing.aindex(
            _aobserved(docs_source, run), records, vector_store, **_observing_keys(options, run)
        )
    except BaseException as error:
        _reporter.attempt(run.failed, error)
        raise
    _reporter.attempt(run.done, result)
    return result


def _run(options: dict[str, Any]) -> IndexingRun:
    key = options.get("source_id_key")
    return IndexingRun(
        _reporter,
        source_key=key if isinstance(key, str) else None,
        force_update=bool(options.get("force_update")),
        finds_gone=options.get("cleanup") == "full",
    )


def _observing_keys(options: dict[str, Any], run: IndexingRun) -> dict[str, Any]:
    """Return the options with a ``source_id_key`` function that also observes each document and its key."""
    given = options.get("source_id_key")
    if given is None and options.get("cleanup") in _NEED_SOURCES:
        return options  # LangChain raises the error
    if given is not None and not isinstance(given, str) and not callable(given):
        return options  # as above
    assign = _assigner(given)

    def source_of(document: Document) -> Any:
        _reporter.attempt(run.keyed, document)
        return assign(document)

    return {**options, "source_id_key": source_of}


def _assigner(given: str | Callable[[Document], str] | None) -> Callable[[Document], Any]:
    if given is None:
        return lambda document: None  # noqa: ARG005 - its name is that of LangChain's own
    if isinstance(given, str):
        return lambda document: document.metadata[given]
    return given


def _observed(source: BaseLoader | Iterable[Document], run: IndexingRun) -> Iterator[Document]:
    for document in _documents(source):
        _reporter.attempt(run.taken, document)
        yield document


async def _aobserved(
    source: BaseLoader | Iterable[Document] | AsyncIterable[Document], run: IndexingRun
) -> AsyncIterator[Document]:
    if isinstance(source, BaseLoader):
        try:
            stream: AsyncIterable[Document] | None = source.alazy_load()
        except NotImplementedError:
            stream = None
    else:
        stream = source if isinstance(source, AsyncIterable) else None
    if stream is not None:
        async for document in stream:
            _reporter.attempt(run.taken, document)
            yield document
        return
    assert not isinstance(source, AsyncIterable)
    for document in _observed(source, run):
        yield document


def _documents(source: BaseLoader | Iterable[Document]) -> Iterable[Document]:
    if not isinstance(source, BaseLoader):
        return source
    try:
        return source.lazy_load()
    except NotImplementedError:
        return source.load()
