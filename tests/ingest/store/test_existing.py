"""A store is opened by where it is, whatever model filled it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_pipeline.errors import StoreError
from rag_pipeline.ingest.settings import IngestSettings
from rag_pipeline.ingest.store.existing import open_existing
from tests.ingest.store.places import Place
from tests.ingest.store.samples import chunks, file, vectors


def settings(place: Place) -> IngestSettings:
    return IngestSettings.from_env({"RAG_STORE_URL": place.where} if place.kind == "postgres" else {})


def folder(place: Place, tmp_path: Path) -> Path:
    return Path(place.where) if place.kind == "lance" else tmp_path / "store"


def test_it_says_which_model_it_has(place: Place, tmp_path: Path) -> None:
    made = place.open("a model of long ago", 5)
    made.replace("papers", file("a"), [(chunks("heron"), vectors(1, width=5))])
    made.close()
    existing = open_existing(settings(place), folder(place, tmp_path))
    try:
        assert (existing.model_id, existing.dimensions) == ("a model of long ago", 5)
        assert existing.is_shared == (place.kind == "postgres")
        assert existing.store.pipelines()["papers"].files == 1
    finally:
        existing.store.close()


def test_where_nothing_is_stored_it_says_so_and_makes_nothing(place: Place, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"nothing is stored in .* yet: run rag-pipeline local-files DIR first"):
        open_existing(settings(place), folder(place, tmp_path))
    assert not folder(place, tmp_path).exists()


def test_a_damaged_store_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "store" / "chunks.lance" / "_versions").mkdir(parents=True)
    (tmp_path / "store" / "chunks.lance" / "_versions" / "1.manifest").write_bytes(b"nothing of the kind")
    with pytest.raises(StoreError, match="the vector store is damaged"):
        open_existing(IngestSettings(), tmp_path / "store")
