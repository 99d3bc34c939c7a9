"""``rag_pipeline.search``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import rag_pipeline
from rag_pipeline.errors import StoreError
from rag_pipeline.ingest import api
from rag_pipeline.ingest.settings import IngestSettings
from tests.ingest.test_document_search import fill
from tests.sources.endpoint import endpoint


@pytest.fixture
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with endpoint() as service:
        for key, value in service.env.items():
            monkeypatch.setenv(key, value)
        monkeypatch.setenv("RAG_SEARCH_MIN_VECTOR", "0.25")
        fill(IngestSettings.from_env(), tmp_path)
        yield tmp_path
    if api._opened is not None:
        api._opened[2].close()
        monkeypatch.setattr(api, "_opened", None)


def test_hits_are_typed_and_filters_restrict_them(state_dir: Path) -> None:
    [hit] = rag_pipeline.search("heron", state_dir=state_dir)
    assert isinstance(hit, rag_pipeline.SearchHit)
    assert (hit.text, hit.name, hit.pipeline_id) == ("the heron stands in the reeds", "p.txt", "papers")
    assert hit.words > 0
    assert -1 <= hit.vector <= 1
    assert rag_pipeline.search("heron", state_dir=state_dir, pipeline="other") == []
    assert rag_pipeline.search("heron", state_dir=state_dir, path="l.txt") == []
    assert rag_pipeline.search("heron", state_dir=state_dir, file_type="pdf") == []


def test_the_store_stays_open_until_another_is_named(state_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    rag_pipeline.search("heron", state_dir=state_dir)
    first = api._opened
    rag_pipeline.search("otter", state_dir=str(state_dir))
    assert api._opened is first
    with pytest.raises(StoreError, match="nothing is stored"):
        rag_pipeline.search("heron", state_dir=tmp_path_factory.mktemp("empty"))


@pytest.mark.parametrize(("question", "limit"), [(" ", 5), ("heron", 0), ("heron", 101)])
def test_wrong_arguments_are_value_errors(question: str, limit: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        rag_pipeline.search(question, limit=limit)


@pytest.mark.parametrize("arguments", [{"path": 5}, {"limit": "x"}, {"file_type": ""}, {"pipeline": b"a"}])
def test_arguments_of_other_types_are_value_errors_that_name_them(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(arguments))}=.*: expected"):
        rag_pipeline.search("heron", **arguments)
