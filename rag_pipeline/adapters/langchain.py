"""LangChain's indexing API, shown: ``index`` and ``aindex`` with the same arguments, results and errors.

After LangChain's own import, this is the one line::

    from rag_pipeline.adapters.langchain import aindex, index

LangChain's functions do the work. Its documents, their keys and the calls of its record manager pass by here on the
way; nothing of the user's objects is changed.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import Any

from rag_pipeline.adapters.langchain_run import Indexing
from rag_pipeline.adapters.libraries import need
from rag_pipeline.adapters.reporter import Reporter
from rag_pipeline.status.pipeline import PipelineStatus

need("langchain_core", "langchain-core", "langchain")

from langchain_core import indexing  # noqa: E402 - after the line that says what is missing
from langchain_core.document_loaders import BaseLoader  # noqa: E402
from langchain_core.documents import Document  # noqa: E402
from langchain_core.indexing import IndexingResult, RecordManager  # noqa: E402

from rag_pipeline.adapters.langchain_records import WatchedRecords  # noqa: E402

PIPELINE_TYPE = "langchain"
_NEED_SOURCES = ("incremental", "scoped_full")

_reporter = Reporter(PIPELINE_TYPE)


def report_to(status: PipelineStatus) -> None:
    """Show what is indexed from now on in a pipeline of your own, which you serve yourself."""
    global _reporter
    _reporter = Reporter(PIPELINE_TYPE, status)


def index(
    docs_source: BaseLoader | Iterable[Document], record_manager: RecordManager, vector_store: Any, **options: Any
) -> IndexingResult:
    """Do what ``langchain_core.indexing.index`` does, with its arguments, and show the files of the documents."""
    run = _run(options)
    records = WatchedRecords(record_manager, vector_store, run, _reporter)
    try:
        result = indexing.index(_taking(docs_source, run), records, vector_store, **_keying(options, run))
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
    """Do what ``langchain_core.indexing.aindex`` does, with its arguments, and show the files of the documents."""
    run = _run(options)
    records = WatchedRecords(record_manager, vector_store, run, _reporter)
    try:
        result = await indexing.aindex(_ataking(docs_source, run), records, vector_store, **_keying(options, run))
    except BaseException as error:
        _reporter.attempt(run.failed, error)
        raise
    _reporter.attempt(run.done, result)
    return result


def _run(options: dict[str, Any]) -> Indexing:
    key = options.get("source_id_key")
    return Indexing(
        _reporter,
        source_key=key if isinstance(key, str) else None,
        force_update=bool(options.get("force_update")),
        finds_gone=options.get("cleanup") == "full",
    )


def _keying(options: dict[str, Any], run: Indexing) -> dict[str, Any]:
    """Return the options with a ``source_id_key`` that shows each document, with its key, on the way."""
    given = options.get("source_id_key")
    if given is None and options.get("cleanup") in _NEED_SOURCES:
        return options  # an error, which is for LangChain to say
    if given is not None and not isinstance(given, str) and not callable(given):
        return options  # this one, too
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


def _taking(source: BaseLoader | Iterable[Document], run: Indexing) -> Iterator[Document]:
    for document in _documents(source):
        _reporter.attempt(run.taken, document)
        yield document


async def _ataking(
    source: BaseLoader | Iterable[Document] | AsyncIterable[Document], run: Indexing
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
    for document in _taking(source, run):
        yield document


def _documents(source: BaseLoader | Iterable[Document]) -> Iterable[Document]:
    if not isinstance(source, BaseLoader):
        return source
    try:
        return source.lazy_load()
    except NotImplementedError:
        return source.load()
