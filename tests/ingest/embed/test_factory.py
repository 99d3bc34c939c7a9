"""The embedder that the settings name."""

from __future__ import annotations

from rag_pipeline.ingest.embed.factory import build_embedder
from rag_pipeline.ingest.embed.local_model import LocalEmbedder
from rag_pipeline.ingest.embed.openai import OpenAIEmbedder
from rag_pipeline.ingest.settings import IngestSettings


def test_the_built_in_model_is_used_unless_an_endpoint_is_set() -> None:
    embedder = build_embedder(IngestSettings.from_env({}))
    assert isinstance(embedder, LocalEmbedder)
    embedder.close()
    env = {"EMBEDDING_API_URL": "http://127.0.0.1:9/v1", "EMBEDDING_API_MODEL": "m", "EMBEDDING_API_DIMENSIONS": "256"}
    remote = build_embedder(IngestSettings.from_env(env))
    assert isinstance(remote, OpenAIEmbedder)
    assert (remote.model_id, remote.dimensions) == ("m@256", 256)
    remote.close()


def test_prefixes_reach_the_endpoint() -> None:
    env = {
        "EMBEDDING_API_URL": "http://127.0.0.1:9/v1",
        "EMBEDDING_API_MODEL": "e5",
        "EMBEDDING_PASSAGE_PREFIX": "passage: ",
    }
    remote = build_embedder(IngestSettings.from_env(env))
    assert remote.model_id == "e5 'passage: '"
    remote.close()
