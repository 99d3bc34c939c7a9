"""The settings of ingestion: defaults and errors."""

from __future__ import annotations

import pytest

from rag_pipeline.errors import ConfigurationError
from rag_pipeline.ingest.settings import IngestSettings


def test_the_local_model_is_the_default() -> None:
    assert IngestSettings.from_env({}) == IngestSettings()


def test_the_key_is_not_shown() -> None:
    assert "secret" not in repr(IngestSettings.from_env({"EMBEDDING_API_KEY": "secret"}))


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"EMBEDDING_API_URL": "ftp://x", "EMBEDDING_API_MODEL": "m"}, "EMBEDDING_API_URL='ftp://x'"),
        ({"EMBEDDING_API_URL": "http://x"}, "EMBEDDING_API_MODEL is not set: expected the model's name"),
        ({"EMBEDDING_API_MODEL": "m"}, "EMBEDDING_API_MODEL='m': expected EMBEDDING_API_URL beside it"),
        ({"EMBEDDING_API_DIMENSIONS": "8"}, "EMBEDDING_API_DIMENSIONS='8': expected EMBEDDING_API_URL beside it"),
        ({"RAG_CHUNK_TOKENS": "255"}, "RAG_CHUNK_TOKENS='255'"),
        ({"RAG_CHUNK_TOKENS": "127"}, "RAG_CHUNK_TOKENS"),
        ({"RAG_EXTRACTION_SECONDS": "0"}, "RAG_EXTRACTION_SECONDS='0'"),
        ({"EMBEDDING_API_DIMENSIONS": "0"}, "EMBEDDING_API_DIMENSIONS"),
        ({"EMBEDDING_THREADS": "many"}, "EMBEDDING_THREADS"),
        ({"RAG_STORE_URL": "redis://db"}, "RAG_STORE_URL"),
    ],
)
def test_the_error_names_a_bad_value(env: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        IngestSettings.from_env(env)
    assert message in str(caught.value)


def test_a_password_in_the_url_is_refused_and_not_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        IngestSettings.from_env({"EMBEDDING_API_URL": "http://me:hush@x/v1", "EMBEDDING_API_MODEL": "m"})
    assert "hush" not in str(caught.value)


def test_hidden_text_and_comments_are_settings() -> None:
    assert (IngestSettings.from_env({}).read_hidden, IngestSettings.from_env({}).skip_comments) == (False, False)
    read = IngestSettings.from_env({"RAG_READ_HIDDEN": "1", "RAG_SKIP_COMMENTS": "1"})
    assert (read.read_hidden, read.skip_comments) == (True, True)


def test_the_url_may_end_in_embeddings() -> None:
    env = {"EMBEDDING_API_URL": "https://x/v1/embeddings/", "EMBEDDING_API_MODEL": "m", "RAG_CHUNK_TOKENS": "800"}
    read = IngestSettings.from_env(env)
    assert (read.embedding_api_url, read.chunk_tokens) == ("https://x/v1", 800)


def test_the_store_may_be_a_database_whose_password_is_not_shown() -> None:
    read = IngestSettings.from_env({"RAG_STORE_URL": "postgresql+psycopg://me:hush@db/rag"})
    assert str(read.store_address) == "postgresql://db:5432/rag"
    assert "hush" not in repr(read)


def test_the_time_for_a_file_can_be_set() -> None:
    assert IngestSettings.from_env({}).extraction_seconds == 120
    assert IngestSettings.from_env({"RAG_EXTRACTION_SECONDS": "600"}).extraction_seconds == 600
