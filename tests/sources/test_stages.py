from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from rag_pipeline.errors import ConfigurationError, EmbeddingError
from rag_pipeline.ingest.settings import IngestSettings
from rag_pipeline.sources.stages import build_stages
from tests.sources.endpoint import endpoint


def test_the_real_stages_fit_together(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("the heron stands")
    with endpoint() as api:
        settings = IngestSettings.from_env(api.env)
        parts = build_stages(settings, tmp_path / "store", workers=1, stop=threading.Event())
        try:
            document = parts.extractor.extract(str(tmp_path / "a.txt"))
            assert [section.text for section in document.sections] == ["the heron stands"]
            [chunk] = parts.chunker.chunks(document)
            assert parts.embedder.embed([chunk.text]).shape == (1, parts.embedder.dimensions)
            assert parts.store.files("none") == {}
            assert parts.input_limit_bytes > 0
        finally:
            parts.close()
            parts.close()


def test_the_config_hash_changes_with_the_settings_of_reading_and_chunking(tmp_path: Path) -> None:
    recipes = set()
    variants = [{}, {"RAG_CHUNK_TOKENS": "200"}, {"RAG_READ_HIDDEN": "1"}, {"RAG_SKIP_COMMENTS": "1"}]
    with endpoint() as api:
        for variant in variants:
            settings = IngestSettings.from_env({**api.env, **variant})
            parts = build_stages(settings, tmp_path / "store", workers=1, stop=threading.Event())
            recipes.add(parts.config_hash)
            parts.close()
    assert len(recipes) == len(variants)


def test_the_error_for_a_missing_library_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "rag_pipeline.ingest.store.lance.store", raising=False)
    monkeypatch.setitem(sys.modules, "rag_pipeline.ingest.store.lance.store", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'rag-pipeline-status\[ingest\]'"):
        build_stages(IngestSettings(), tmp_path, workers=1, stop=threading.Event())


def test_a_missing_model_is_an_embedding_error(tmp_path: Path) -> None:
    with pytest.raises(EmbeddingError):
        build_stages(IngestSettings(embedding_model_dir=tmp_path), tmp_path, workers=1, stop=threading.Event())
