"""The embedder that the settings name."""

from __future__ import annotations

from rag_pipeline.ingest.embed.factory import build_embedder
from rag_pipeline.ingest.embed.minilm import MiniLMEmbedder
from rag_pipeline.ingest.embed.openai import OpenAIEmbedder
from rag_pipeline.ingest.settings import IngestSettings


def test_the_built_in_model_is_used_unless_an_endpoint_is_set() -> None:
    embedder = build_embedder(IngestSettings.from_env({}))
    assert isinstance(embedder, MiniLMEmbedder)
    embedder.close()
    env = {"EMBEDDING_API_URL": "http://127.0.0.1:9/v1", "EMBEDDING_API_MODEL": "m", "EMBEDDING_API_DIMENSIONS": "256"}
    remote = build_embedder(IngestSettings.from_env(env))
    assert isinstance(remote, OpenAIEmbedder)
    assert (remote.model_id, remote.dimensions) == ("m@256", 256)
    remote.close()
