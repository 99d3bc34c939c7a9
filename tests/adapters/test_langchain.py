"""LangChain's ``index`` and ``aindex`` with LangChain's stores, and a real service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from langchain_core import indexing
from langchain_core.document_loaders import BaseLoader
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.indexing import InMemoryRecordManager
from langchain_core.vectorstores import InMemoryVectorStore

from rag_pipeline import PipelineStatus
from rag_pipeline.adapters import langchain
from rag_pipeline.adapters.langchain_run import IndexingRun
from rag_pipeline.status.pipeline import core_of
from tests.adapters.watched import new_pipeline, watching

pytestmark = pytest.mark.slow


def chunks(source: str, *texts: str) -> list[Document]:
    return [Document(page_content=text, metadata={"source": source}) for text in texts]


class Library:
    """A vector store with its record manager, indexed synchronously or asynchronously."""

    def __init__(self, *, asynchronous: bool, shown: bool = True) -> None:
        self.store = InMemoryVectorStore(DeterministicFakeEmbedding(size=4))
        self.records = InMemoryRecordManager(namespace="test")
        self.records.create_schema()
        self._asynchronous = asynchronous
        self._module: Any = langchain if shown else indexing

    def index(self, source: Any, **options: Any) -> dict[str, int]:
        options = {"key_encoder": "sha256", **options}
        if self._asynchronous:
            return dict(asyncio.run(self._module.aindex(source, self.records, self.store, **options)))
        return dict(self._module.index(source, self.records, self.store, **options))


@pytest.fixture(params=[False, True], ids=["index", "aindex"])
def library(request: pytest.FixtureRequest) -> Library:
    return Library(asynchronous=request.param)


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch) -> PipelineStatus:
    monkeypatch.setattr(langchain, "_reporter", langchain._reporter)
    pipeline = new_pipeline("langchain")
    langchain.report_to(pipeline)
    return pipeline


def test_a_client_sees_files_stages_and_failures_live(library: Library, pipeline: PipelineStatus) -> None:
    with watching(pipeline) as watched:

        class Loader(BaseLoader):
            def lazy_load(self) -> Iterator[Document]:
                yield from chunks("a.md", "one", "two")
                watched.wait_for_stage("a.md", "loading")
                yield from chunks("b.md", "three")
                yield from chunks("c.md", "four")
                raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")

        with pytest.raises(UnicodeDecodeError):
            library.index(Loader(), batch_size=3)
        watched.wait_for("error")
        assert watched.started == ["a.md", "b.md", "c.md"]
        # All documents of b.md were stored, but no other file had come, so it had not ended.
        assert watched.ends == [("a.md", "completed"), ("b.md", "failed"), ("c.md", "failed")]
        assert watched.end("a.md")["result"] == {"added": 2, "updated": 0, "skipped": 0}
        assert watched.end("c.md")["error"]["type"] == "UnicodeDecodeError"
        assert "invalid start byte" in watched.state["error"]


def test_a_failing_store_fails_the_files_of_its_batch(library: Library, pipeline: PipelineStatus) -> None:
    with watching(pipeline) as watched:

        class Embedding(DeterministicFakeEmbedding):
            def embed_documents(self, texts: list[str]) -> list[list[float]]:
                watched.wait_for_stage("a.md", "storing")
                raise ConnectionError("no route to the model")

        library.store = InMemoryVectorStore(Embedding(size=4))
        with pytest.raises(ConnectionError):
            library.index([*chunks("a.md", "one"), *chunks("b.md", "two")])
        watched.wait_for("error")
        assert watched.ends == [("a.md", "failed"), ("b.md", "failed")]
        error = watched.end("b.md")["error"]
        assert (error["type"], error["message"], error["stage"]) == (
            "ConnectionError", "no route to the model", "storing",
        )  # fmt: skip


def test_new_unchanged_and_deleted_files_are_distinguished(library: Library, pipeline: PipelineStatus) -> None:
    with watching(pipeline) as watched:
        library.index([*chunks("a.md", "one", "two"), *chunks("b.md", "three")], cleanup="full")
        result = library.index([*chunks("a.md", "one", "2"), *chunks("c.md", "four")], cleanup="full")
        assert result == {"num_added": 2, "num_updated": 0, "num_skipped": 1, "num_deleted": 2}
        library.index([*chunks("a.md", "one", "2"), *chunks("c.md", "four")], cleanup="full")
        watched.wait_for("idle")
        pipeline.update(status="seen")
        watched.wait_for("seen")
        assert watched.ends == [
            ("a.md", "completed"), ("b.md", "completed"),
            ("a.md", "completed"), ("b.md", "deleted"), ("c.md", "completed"),
            ("a.md", "skipped"), ("c.md", "skipped"),
        ]  # fmt: skip
        state = watched.state
        assert (state["documents_added"], state["documents_skipped"], state["total_deleted"]) == (0, 3, 1)


CALLS: list[dict[str, Any]] = [
    {},
    {"cleanup": "full"},
    {"cleanup": "incremental", "source_id_key": "source"},
    {"cleanup": "scoped_full", "source_id_key": lambda document: document.metadata["source"].upper()},
    {"cleanup": "full", "force_update": True, "batch_size": 2},
    {"batch_size": 1, "cleanup_batch_size": 1, "cleanup": "full"},
]
WRONG_CALLS: list[dict[str, Any]] = [
    {"cleanup": "incremental"},
    {"cleanup": "no such"},
    {"source_id_key": 7},
    {"source_id_key": "no such key"},
    {"no_such_argument": 1},
]
RUNS = [
    [*chunks("a.md", "one", "two", "one"), *chunks("b.md", "three")],
    [*chunks("a.md", "one", "2"), *chunks("c.md", "four", "five", "six")],
    [],
]


@pytest.mark.parametrize("asynchronous", [False, True], ids=["index", "aindex"])
@pytest.mark.parametrize("options", CALLS)
def test_results_and_stores_are_those_of_langchain(
    pipeline: PipelineStatus, options: dict[str, Any], asynchronous: bool
) -> None:
    shown, plain = Library(asynchronous=asynchronous), Library(asynchronous=asynchronous, shown=False)
    for documents in RUNS:
        before = pipeline.get() if core_of(pipeline).reported else None
        result = shown.index(documents, **options)
        assert result == plain.index(documents, **options)
        assert sorted(shown.records.list_keys()) == sorted(plain.records.list_keys())
        assert shown.store.store.keys() == plain.store.store.keys()
        state = pipeline.get()
        assert [state[f"documents_{key.removeprefix('num_')}"] for key in result] == list(result.values())
        assert state["files_in_flight"] == 0
        assert before is None or state["total_failed"] == before["total_failed"] == 0


@pytest.mark.parametrize("asynchronous", [False, True], ids=["index", "aindex"])
@pytest.mark.parametrize("options", WRONG_CALLS)
def test_errors_are_those_of_langchain(pipeline: PipelineStatus, options: dict[str, Any], asynchronous: bool) -> None:
    raised = []
    for shown in (True, False):
        with pytest.raises(Exception) as caught:
            Library(asynchronous=asynchronous, shown=shown).index(RUNS[0], **options)
        raised.append((type(caught.value), str(caught.value)))
    assert raised[0] == raised[1]
    assert pipeline.get()["status"] == "error"


class OldLoader(BaseLoader):
    """A loader without lazy loading."""

    def load(self) -> list[Document]:
        return RUNS[0]


class AsyncLoader(BaseLoader):
    async def alazy_load(self) -> AsyncIterator[Document]:
        for document in RUNS[0]:
            yield document


async def stream() -> AsyncIterator[Document]:
    for document in RUNS[0]:
        yield document


def test_every_kind_of_source_is_accepted(library: Library, pipeline: PipelineStatus) -> None:
    assert library.index(OldLoader())["num_added"] == 3
    assert library.index(iter(RUNS[0]))["num_added"] == 0
    assert (pipeline.get()["total_processed"], pipeline.get()["total_skipped"]) == (0, 2)


@pytest.mark.parametrize("make", [AsyncLoader, stream])
def test_documents_can_come_asynchronously(pipeline: PipelineStatus, make: Any) -> None:
    assert Library(asynchronous=True).index(make())["num_added"] == 3
    assert pipeline.get()["total_processed"] == 2


def test_a_failing_report_does_not_stop_the_work(
    library: Library, pipeline: PipelineStatus, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("taken", "keyed", "looked_up", "written", "done"):
        monkeypatch.setattr(IndexingRun, name, lambda *_: 1 / 0)
    assert library.index(RUNS[0])["num_added"] == 3
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 1
