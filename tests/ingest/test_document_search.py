"""Searching stored documents for a service or a program."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_pipeline.common.document_search import DocumentQuery
from rag_pipeline.errors import SearchUnavailableError, StoreError
from rag_pipeline.ingest.document_search import StoredDocuments
from rag_pipeline.ingest.embed.factory import build_embedder
from rag_pipeline.ingest.settings import IngestSettings
from rag_pipeline.ingest.store.lance.store import LanceVectorStore
from rag_pipeline.ingest.types import Chunk, SourceFile
from tests.sources.endpoint import endpoint


@pytest.fixture
def settings() -> Iterator[IngestSettings]:
    with endpoint() as api:
        yield IngestSettings.from_env({**api.env, "RAG_SEARCH_MIN_VECTOR": "0.25"})


def fill(settings: IngestSettings, state_dir: Path) -> None:
    embedder = build_embedder(settings)
    store = LanceVectorStore(state_dir / "store", embedder.model_id, embedder.embed(["one"]).shape[1])
    for pipeline_id, text in (("papers", "the heron stands in the reeds"), ("local_files:/docs", "the otter swims")):
        file = SourceFile(f"{pipeline_id[0]}.txt", f"{pipeline_id[0]}.txt", "", "h", 1, "text/plain", 0.0)
        store.replace(pipeline_id, file, [([Chunk(text, "", 0)], embedder.embed([text]))])
    store.close()
    embedder.close()


def test_documents_are_searched_and_opened_once(settings: IngestSettings, tmp_path: Path) -> None:
    fill(settings, tmp_path)
    with StoredDocuments(settings, tmp_path, collections={"files-here": "local_files:/docs"}) as documents:
        [heron] = documents.hits(DocumentQuery("heron"))
        assert (heron.text, heron.pipeline_id) == ("the heron stands in the reeds", "papers")
        [otter] = documents.search(DocumentQuery("otter", frozenset({"files-here"}), "*.txt", "txt"))
        assert (otter["pipeline_id"], otter["name"], otter["mime_type"]) == ("files-here", "l.txt", "text/plain")
        assert documents.hits(DocumentQuery("otter", frozenset({"papers"}))) == []
        assert documents._opened is not None
    with pytest.raises(SearchUnavailableError, match="closed"):
        documents.hits(DocumentQuery("heron"))


def test_nothing_near_is_nothing_found(settings: IngestSettings, tmp_path: Path) -> None:
    fill(settings, tmp_path)
    with StoredDocuments(settings, tmp_path) as documents:
        assert documents.hits(DocumentQuery("zzz qqq")) == []


def test_an_empty_store_is_an_error(settings: IngestSettings, tmp_path: Path) -> None:
    with StoredDocuments(settings, tmp_path) as documents, pytest.raises(StoreError, match="nothing is stored"):
        documents.hits(DocumentQuery("heron"))


def test_the_store_of_a_pipeline_is_used_once_it_is_open_and_not_closed(
    settings: IngestSettings, tmp_path: Path
) -> None:
    fill(settings, tmp_path)
    embedder = build_embedder(settings)
    embedder.embed(["one"])
    store = LanceVectorStore(tmp_path / "store", embedder.model_id, embedder.dimensions)
    with StoredDocuments(settings, tmp_path, is_shared=True) as documents:
        with pytest.raises(SearchUnavailableError, match="is starting"):
            documents.hits(DocumentQuery("heron"))
        documents.share(embedder, store)
        assert len(documents.hits(DocumentQuery("heron"))) == 1
    assert store.file("papers", "p.txt") is not None, "it is still open"
    store.close()
    embedder.close()
