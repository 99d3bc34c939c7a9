from __future__ import annotations

import pytest

from rag_pipeline.errors import ConfigurationError
from rag_pipeline.sources.runner.pipeline_spec import collection_name


def test_a_location_names_its_collection_unless_the_pipeline_has_an_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAG_PIPELINE_ID", raising=False)
    monkeypatch.delenv("RAG_STORE_URL", raising=False)
    assert collection_name("local_files", "/docs") == "local_files:/docs"
    monkeypatch.setenv("RAG_PIPELINE_ID", "papers")
    assert collection_name("local_files", "/docs") == "papers"


def test_a_store_that_machines_share_needs_an_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAG_PIPELINE_ID", raising=False)
    monkeypatch.setenv("RAG_STORE_URL", "postgresql+psycopg://127.0.0.1/rag")
    with pytest.raises(ConfigurationError, match=r"^RAG_PIPELINE_ID is not set: expected a name of"):
        collection_name("local_files", "/docs")
    monkeypatch.setenv("RAG_STORE_URL", "mysql://x")
    with pytest.raises(ConfigurationError, match=r"^RAG_STORE_URL"):
        collection_name("local_files", "/docs")
    monkeypatch.setenv("RAG_PIPELINE_ID", "papers")
    assert collection_name("local_files", "/docs") == "papers"
