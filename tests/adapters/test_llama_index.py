"""Real ingestion pipelines with a real service; results and errors are those of LlamaIndex."""

from __future__ import annotations

import asyncio
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from llama_index.core import Document, MockEmbedding
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import BaseNode, TransformComponent
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores import SimpleVectorStore
from llama_index_instrumentation import get_dispatcher

from rag_pipeline import PipelineStatus
from rag_pipeline.adapters.llama_index import hide, show
from rag_pipeline.contract import events
from rag_pipeline.status.pipeline import core_of
from tests.adapters.watched import new_pipeline, watching

Ingest = Callable[..., Sequence[BaseNode]]
TEXT = "One sentence of some words. " * 20


class Embedding(BaseEmbedding):
    """Waits until the test has seen the stage, and fails on request."""

    before: Callable[[list[str]], None] | None = None

    def _get_text_embedding(self, text: str) -> list[float]:
        return [float(len(text))]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        if self.before is not None:
            self.before(texts)
        return [self._get_text_embedding(text) for text in texts]

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return await asyncio.to_thread(self._get_text_embeddings, texts)

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


def document(name: str, text: str = TEXT) -> Document:
    return Document(text=text, id_=f"id of {name}", metadata={"file_name": name})


def run(pipeline: IngestionPipeline, **options: Any) -> Sequence[BaseNode]:
    return pipeline.run(**options)


def arun(pipeline: IngestionPipeline, **options: Any) -> Sequence[BaseNode]:
    return asyncio.run(pipeline.arun(**options))


@pytest.fixture(params=[run, arun])
def ingest(request: pytest.FixtureRequest) -> Ingest:
    ingest: Ingest = request.param
    return ingest


@pytest.fixture
def status() -> Iterator[PipelineStatus]:
    status = new_pipeline("llama_index")
    show(status=status)
    yield status
    hide()


def splitter() -> SentenceSplitter:
    return SentenceSplitter(chunk_size=40, chunk_overlap=0)


@pytest.mark.slow
def test_a_client_sees_files_stages_and_failures_live(ingest: Ingest, status: PipelineStatus) -> None:
    with watching(status) as watched:

        def embed(texts: list[str]) -> None:
            for name in ("a.md", "b.md"):
                watched.wait_for_stage(name, "embedding")
            if "poison" in texts[0]:
                raise ConnectionError("the model is gone")

        pipeline = IngestionPipeline(transformations=[splitter(), Embedding(before=embed)])
        nodes = ingest(pipeline, documents=[document("a.md"), document("b.md")])
        with pytest.raises(ConnectionError):
            ingest(pipeline, documents=[document("a.md", "poison"), document("c.md")])
        watched.wait_for("error")
        assert watched.started == ["a.md", "b.md", "a.md", "c.md"]
        assert sorted(watched.ends[:2]) == [("a.md", "completed"), ("b.md", "completed")]
        assert watched.ends[2:] == [("a.md", "failed"), ("c.md", "failed")]
        done = [body["file"] for name, body in watched.events if name == events.FILE_COMPLETED]
        assert len(nodes) == sum(file["result"]["chunks"] for file in done) > 2
        assert watched.end("c.md")["id"] == "id of c.md"
        assert watched.end("c.md")["error"] == {
            "type": "ConnectionError", "message": "the model is gone", "stage": "embedding", "retryable": False,
        }  # fmt: skip


def test_each_file_has_its_own_fraction_of_the_embedding(ingest: Ingest, status: PipelineStatus) -> None:
    with watching(status) as watched:
        seen: list[tuple[float | None, ...]] = []

        def embed(texts: list[str]) -> None:
            seen.append(tuple(file["progress"] for file in status.get()["files_processing"]))

        embedding = Embedding(before=embed, embed_batch_size=1, num_workers=1)
        ingest(IngestionPipeline(transformations=[splitter(), embedding]), documents=[document("a.md"), document("b")])
        watched.wait_for("idle")
        assert seen[0] == (None, None)
        assert all(file["progress"] == 1.0 for file in status.get()["files_completed"])
    if ingest is run:  # async runs report embeddings only at the end
        assert (1.0, None) in seen


class Shout(TransformComponent):
    """A custom transformation."""

    watched: Any = None

    def __call__(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Sequence[BaseNode]:
        if self.watched is not None:
            self.watched.wait_for_stage("a.md", "Shout")
        return nodes


def test_a_custom_transformation_is_a_stage_named_by_its_class(ingest: Ingest, status: PipelineStatus) -> None:
    with watching(status) as watched:
        ingest(IngestionPipeline(transformations=[Shout(watched=watched)]), documents=[document("a.md")])


def test_storing_is_a_stage_and_can_fail(ingest: Ingest, status: PipelineStatus) -> None:
    with watching(status) as watched:

        class Store(SimpleVectorStore):
            def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
                watched.wait_for_stage("a.md", "storing")
                raise OSError("no space left")

        pipeline = IngestionPipeline(transformations=[Embedding()], vector_store=Store())
        with pytest.raises(OSError, match="no space left"):
            ingest(pipeline, documents=[document("a.md")])
        watched.wait_for("error")
        assert watched.end("a.md")["error"]["stage"] == "storing"


def stored(strategy: DocstoreStrategy, vector_store: Any = None) -> IngestionPipeline:
    return IngestionPipeline(
        transformations=[splitter(), Embedding()],
        docstore=SimpleDocumentStore(),
        docstore_strategy=strategy,
        vector_store=SimpleVectorStore() if vector_store is None else vector_store,
        disable_cache=True,
    )


@pytest.mark.parametrize("strategy", list(DocstoreStrategy))
def test_unchanged_documents_are_skipped(ingest: Ingest, status: PipelineStatus, strategy: DocstoreStrategy) -> None:
    pipeline = stored(strategy)
    ingest(pipeline, documents=[document("a.md", "one"), document("b.md", "two")])
    ingest(pipeline, documents=[document("a.md", "one"), document("b.md", "2")])
    ingest(pipeline, documents=[document("a.md", "one"), document("b.md", "2")])
    state = status.get()
    assert state["files_completed"] == []
    assert [file["name"] for file in state["files_skipped"]] == ["a.md", "b.md"]
    assert core_of(status).snapshot().attempts[:3] == (3, 0, 3)
    assert (state["files_in_flight"], state["total_deleted"]) == (0, 0)


def test_documents_that_are_no_longer_given_are_deleted(ingest: Ingest, status: PipelineStatus) -> None:
    pipeline = stored(DocstoreStrategy.UPSERTS_AND_DELETE)
    with watching(status) as watched:
        ingest(pipeline, documents=[document("a.md", "one"), document("b.md", "two")])
        ingest(pipeline, documents=[document("b.md", "two")])
        status.update(status="seen")
        watched.wait_for("seen")
        assert ("a.md", "deleted") in watched.ends
    assert pipeline.docstore is not None
    assert set(pipeline.docstore.get_all_document_hashes().values()) == {"id of b.md"}


def test_cached_documents_are_completed(ingest: Ingest, status: PipelineStatus) -> None:
    pipeline = IngestionPipeline(transformations=[splitter(), Embedding()])
    results = []
    for _ in range(2):
        ingest(pipeline, documents=[document("a.md")])
        results += [file["result"] for file in status.get()["files_completed"]]
    assert results[0] == results[1]
    assert core_of(status).snapshot().attempts.total_processed == len(results) == 2


def test_cache_keys_do_not_change() -> None:
    documents = [document("a.md")]
    pipeline = IngestionPipeline(transformations=[splitter(), Embedding()])
    pipeline.run(documents=documents)
    before = set(pipeline.cache.cache.get_all())
    show(status=new_pipeline("llama_index"))
    try:
        pipeline.run(documents=documents)
    finally:
        hide()
    assert set(pipeline.cache.cache.get_all()) == before


def test_documents_of_the_pipeline_itself_are_reported(ingest: Ingest, status: PipelineStatus) -> None:
    ingest(IngestionPipeline(transformations=[splitter()], documents=[document("own.md")]))
    assert status.get()["files_completed"][0]["name"] == "own.md"


def test_concurrent_runs_do_not_mix(status: PipelineStatus) -> None:
    async def both() -> None:
        pipelines = [IngestionPipeline(transformations=[splitter(), Embedding()]) for _ in range(4)]
        runs = (pipeline.arun(documents=[document(f"{n}.md")]) for n, pipeline in enumerate(pipelines))
        await asyncio.gather(*runs)

    asyncio.run(both())
    done = status.get()["files_completed"]
    assert sorted(file["name"] for file in done) == ["0.md", "1.md", "2.md", "3.md"]
    assert len({file["result"]["chunks"] for file in done}) == 1


def test_a_cancelled_run_fails(status: PipelineStatus) -> None:
    class Slow(TransformComponent):
        def __call__(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Sequence[BaseNode]:
            return nodes

        async def acall(self, nodes: Sequence[BaseNode], **kwargs: Any) -> Sequence[BaseNode]:
            await asyncio.Event().wait()
            return nodes

    async def cancel() -> None:
        task = asyncio.create_task(IngestionPipeline(transformations=[Slow()]).arun(documents=[document("a.md")]))
        while not status.get()["files_in_flight"]:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert status.get()["files_failed"][0]["error"]["type"] == "CancelledError"


@pytest.mark.slow
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="the library takes no more workers than there are cores")
def test_runs_with_worker_processes_are_reported(status: PipelineStatus) -> None:
    # Without a splitter: with one, this version of the library waits for its children for ever.
    pipeline = IngestionPipeline(transformations=[MockEmbedding(embed_dim=2)], disable_cache=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # from the library's child processes
        nodes = pipeline.run(documents=[document("a.md"), document("b.md")], num_workers=2)
    done = status.get()["files_completed"]
    assert [(file["name"], file["stage"]) for file in done] == [("a.md", "transforming"), ("b.md", "transforming")]
    assert sum(file["result"]["chunks"] for file in done) == len(nodes)


def test_show_is_idempotent_and_hide_ends_it(status: PipelineStatus) -> None:
    show(status=status)
    pipeline = IngestionPipeline(transformations=[splitter()])
    pipeline.run(documents=[document("a.md")])
    assert status.get()["total_processed"] == 1
    hide()
    pipeline.run(documents=[document("a.md")])
    assert status.get()["total_processed"] == 1
    root = get_dispatcher()
    left = [type(handler) for handler in (*root.span_handlers, *root.event_handlers)]
    assert not [kind for kind in left if kind.__module__.startswith("rag_pipeline")]


def test_a_single_pipeline_can_be_reported() -> None:
    status = new_pipeline("llama_index")
    shown, other = (IngestionPipeline(transformations=[splitter()]) for _ in range(2))
    show(shown, status=status)
    try:
        shown.run(documents=[document("a.md")])
        other.run(documents=[document("b.md")])
    finally:
        hide()
    assert [file["name"] for file in status.get()["files_completed"]] == ["a.md"]


def test_nothing_is_downloaded(status: PipelineStatus, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def refuse(*_: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    IngestionPipeline(transformations=[splitter(), Embedding()]).run(documents=[document("a.md")])
    assert status.get()["total_processed"] == 1
