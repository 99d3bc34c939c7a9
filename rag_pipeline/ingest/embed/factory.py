"""Builds the embedder that the settings name."""

from __future__ import annotations

import threading

from rag_pipeline.ingest.embed.local_model import LocalEmbedder
from rag_pipeline.ingest.embed.openai import OpenAIEmbedder
from rag_pipeline.ingest.embedding_options import Prefixes
from rag_pipeline.ingest.settings import IngestSettings
from rag_pipeline.ingest.types import Embedder


def build_embedder(settings: IngestSettings, stop: threading.Event | None = None) -> Embedder:
    """Return the embedder of the configured endpoint, or the built-in model; raises EmbeddingError.

    Setting ``stop`` ends running work with :class:`~rag_pipeline.ingest.types.Stopped`.
    """
    prefixes = Prefixes(settings.question_prefix, settings.passage_prefix)
    if settings.embedding_api_url is None:
        return LocalEmbedder(
            settings.embedding_model_dir,
            threads=settings.embedding_threads,
            precision=settings.embedding_precision,
            prefixes=prefixes,
            stop=stop,
        )
    assert settings.embedding_api_model is not None, "checked by IngestSettings.from_env"
    return OpenAIEmbedder(
        settings.embedding_api_url,
        settings.embedding_api_model,
        settings.embedding_api_key,
        settings.embedding_api_dimensions,
        prefixes=prefixes,
        stop=stop,
    )
