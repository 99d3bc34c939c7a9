"""The stages as they run in earnest: the extractor's processes, the model, the store that is set."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path

from rag_pipeline.errors import ConfigurationError
from rag_pipeline.ingest.settings import IngestSettings
from rag_pipeline.sources.ingestion import Parts
from rag_pipeline.sources.ledger import recipe_of

EXTRACTION_VERSION = 1
"""Raise it when extraction or chunking gives another text for the same file: every file is then read again."""


def build_parts(settings: IngestSettings, store: Path, *, workers: int, stop: threading.Event) -> Parts:
    """Load the model and open the store; raises EmbeddingError, StoreError or ConfigurationError in one line."""
    try:
        from rag_pipeline.ingest.chunk import build_chunker
        from rag_pipeline.ingest.embed.factory import build_embedder
        from rag_pipeline.ingest.embed.openai import BATCH
        from rag_pipeline.ingest.embed.remembering import MODEL_BATCH, RememberingEmbedder
        from rag_pipeline.ingest.extract import ProcessExtractor
        from rag_pipeline.ingest.store.factory import open_store

        with ExitStack() as undo:
            built = build_embedder(settings, stop)
            # An endpoint may fail between two requests; the model here runs best on many texts.
            embedder = RememberingEmbedder(built, at_once=BATCH if settings.embedding_api_url else MODEL_BATCH)
            undo.callback(embedder.close)
            chunker = build_chunker(settings, stop)
            opened = open_store(settings, store, embedder.model_id, embedder.dimensions, stop=stop)
            undo.callback(opened.close)
            extractor = ProcessExtractor(workers=workers)
            undo.pop_all()
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{error.name} is not installed, and ingestion needs it: pip install 'rag-pipeline[ingest]'"
        ) from None
    recipe = recipe_of(
        extraction=EXTRACTION_VERSION,
        chunk_tokens=settings.chunk_tokens,
        model=embedder.model_id,
        dimensions=embedder.dimensions,
    )
    return Parts(extractor, chunker, embedder, opened, recipe, extractor.limits.input_bytes)
