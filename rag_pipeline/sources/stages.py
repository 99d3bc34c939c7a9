"""The stages of ingestion (extract, chunk, embed, store), built from the settings."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rag_pipeline.errors import ConfigurationError
from rag_pipeline.ingest.settings import IngestSettings
from rag_pipeline.ingest.terms.analyzer import TermAnalyzer
from rag_pipeline.ingest.types import Chunk, Embedder, ExtractedDocument, Extractor, ProgressCallback, VectorStore
from rag_pipeline.sources.ledger import hash_config

if TYPE_CHECKING:
    from rag_pipeline.ingest.extract.ocr.scan_reader import ScanReader

EXTRACTION_VERSION = 2
"""Raise it when extraction or chunking gives another text for the same file: every file is then ingested again."""


class TextChunker(Protocol):
    """Splits a document into pieces that the embedder accepts; thread-safe."""

    def chunks(self, document: ExtractedDocument, *, on_progress: ProgressCallback | None = None) -> Iterator[Chunk]:
        """Yield the chunks in reading order, numbered from 0; none for a document without words."""
        ...


@dataclass(frozen=True, slots=True)
class Stages:
    """The stages of ingestion; ``config_hash`` stands for every setting that decides what they make of a content."""

    extractor: Extractor
    chunker: TextChunker
    embedder: Embedder
    store: VectorStore
    config_hash: str
    input_limit_bytes: int
    scans: ScanReader | None = None

    def close(self) -> None:
        """Close the stages in order; idempotent."""
        self.extractor.close()
        if self.scans is not None:
            self.scans.close()
        self.embedder.close()
        self.store.close()


def build_stages(settings: IngestSettings, store: Path, *, workers: int, stop: threading.Event) -> Stages:
    """Load the model and open the store; raises EmbeddingError, StoreError or ConfigurationError in one line."""
    try:
        from rag_pipeline.ingest.chunker import build_chunker
        from rag_pipeline.ingest.embed.caching import MODEL_BATCH, CachingEmbedder
        from rag_pipeline.ingest.embed.factory import build_embedder
        from rag_pipeline.ingest.embed.openai import BATCH
        from rag_pipeline.ingest.extract import ExtractionLimits, ProcessExtractor, ReadOptions
        from rag_pipeline.ingest.extract.ocr.scan_reader import ScanReader
        from rag_pipeline.ingest.store.factory import open_store

        with ExitStack() as undo:
            scans = ScanReader(settings.ocr)
            uncached = build_embedder(settings, stop)
            # Small batches lose less when an endpoint fails between two requests; the local model is faster on many.
            embedder = CachingEmbedder(uncached, batch_size=BATCH if settings.embedding_api_url else MODEL_BATCH)
            undo.callback(embedder.close)
            chunker = build_chunker(settings, stop)
            vector_store = open_store(settings, store, embedder.model_id, embedder.dimensions, stop=stop)
            undo.callback(vector_store.close)
            limits = ExtractionLimits(time_seconds=settings.extraction_seconds)
            options = ReadOptions(hidden=settings.read_hidden, comments=not settings.skip_comments)
            extractor = ProcessExtractor(limits, workers=workers, options=options)
            undo.pop_all()
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{error.name} is not installed, and ingestion needs it: pip install 'rag-pipeline-status[ingest]'"
        ) from None
    config_hash = hash_config(
        extraction=EXTRACTION_VERSION,
        chunk_tokens=settings.chunk_tokens,
        read_hidden=settings.read_hidden,
        skip_comments=settings.skip_comments,
        model=embedder.model_id,
        dimensions=embedder.dimensions,
        terms=TermAnalyzer(settings.search_language).version,
        **_optional_readers(scans.is_on),
    )
    return Stages(extractor, chunker, embedder, vector_store, config_hash, extractor.limits.input_bytes, scans)


def _optional_readers(has_ocr: bool) -> dict[str, Any]:
    """Return what is installed besides the readers of this package: it reads files that were skipped without it."""
    from rag_pipeline.ingest.extract.installed_plugins import installed_plugins

    plugins = sorted(f"{plugin.name} {plugin.distribution}" for plugin in installed_plugins().values())
    return {**({"ocr": True} if has_ocr else {}), **({"readers": plugins} if plugins else {})}
