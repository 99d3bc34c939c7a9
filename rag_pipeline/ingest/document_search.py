"""Searches stored documents for a service or a program: opens model and store once, and keeps them open."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Self

from rag_pipeline.common.document_search import DocumentQuery
from rag_pipeline.errors import SearchUnavailableError
from rag_pipeline.ingest.search import floor_of, search
from rag_pipeline.ingest.settings import IngestSettings
from rag_pipeline.ingest.state_dir import STORE_NAME
from rag_pipeline.ingest.store.factory import check_stored, open_for_search
from rag_pipeline.ingest.terms.analyzer import TermAnalyzer
from rag_pipeline.ingest.types import Embedder, SearchFilter, SearchHit, VectorStore


class StoredDocuments:
    """The documents in the store that the settings name; thread-safe, a context manager.

    Model and store are opened by the first search, unless :meth:`share` has given those of a running pipeline.
    ``collections`` maps pipeline ids to the names of their documents in the store, where they differ.
    """

    def __init__(
        self,
        settings: IngestSettings,
        state_dir: Path,
        *,
        collections: Mapping[str, str] | None = None,
        is_shared: bool = False,
    ) -> None:
        self._settings = settings
        self._folder = state_dir / STORE_NAME
        self._analyzer = TermAnalyzer(settings.search_language)
        self._collections = dict(collections or {})
        self._ids = {name: pipeline_id for pipeline_id, name in self._collections.items()}
        self._is_shared = is_shared
        self._lock = threading.Lock()  # protects the fields below
        self._opened: tuple[Embedder, VectorStore] | None = None
        self._closed = False

    def share(self, embedder: Embedder, store: VectorStore) -> None:
        """Use the model and the store of a running pipeline, which closes them."""
        with self._lock:
            self._opened = (embedder, store)

    def search(self, query: DocumentQuery) -> Sequence[Mapping[str, object]]:
        """Return the results as JSON objects, best first; raises StoreError or EmbeddingError."""
        return [asdict(hit) for hit in self.hits(query)]

    def hits(self, query: DocumentQuery) -> list[SearchHit]:
        """Return the best hits, best first; none if nothing is near. Raises StoreError or EmbeddingError."""
        embedder, store = self._open()
        only = SearchFilter(self._stored_names(query.pipelines), query.path, query.type)
        floor = floor_of(self._settings)
        hits = search(store, embedder, query.question, query.limit, only=only, floor=floor, analyzer=self._analyzer)
        return [self._with_id(hit) for hit in hits]

    def close(self) -> None:
        """Close what this object has opened; idempotent."""
        with self._lock:
            opened, self._opened, self._closed = self._opened, None, True
        if opened is not None and not self._is_shared:
            opened[1].close()
            opened[0].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> tuple[Embedder, VectorStore]:
        with self._lock:
            if self._closed:
                raise SearchUnavailableError("the store is closed")
            if self._opened is None:
                if self._is_shared:
                    raise SearchUnavailableError("the pipeline is starting: try again in a moment")
                self._opened = self._open_own()
            return self._opened

    def _open_own(self) -> tuple[Embedder, VectorStore]:
        # Imported here because it loads numpy, which takes a second.
        from rag_pipeline.ingest.embed.factory import build_embedder

        check_stored(self._settings, self._folder)
        embedder = build_embedder(self._settings)
        try:
            store = open_for_search(self._settings, self._folder, embedder.model_id, embedder.dimensions)
        except BaseException:
            embedder.close()
            raise
        return embedder, store

    def _stored_names(self, pipelines: Iterable[str] | None) -> frozenset[str] | None:
        if pipelines is None:
            return None
        return frozenset(self._collections.get(pipeline_id, pipeline_id) for pipeline_id in pipelines)

    def _with_id(self, hit: SearchHit) -> SearchHit:
        pipeline_id = self._ids.get(hit.pipeline_id)
        if pipeline_id is None:
            return hit
        return replace(hit, pipeline_id=pipeline_id)
