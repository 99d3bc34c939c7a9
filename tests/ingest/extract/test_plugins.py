"""The choice among plug-ins and readers in a worker process."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest

from rag_pipeline.errors import UnsupportedFileTypeError
from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.limits import ExtractionLimits
from rag_pipeline.ingest.extract.plugins import VARIABLE, choose_type, plugins_of_worker
from rag_pipeline.ingest.extract.readers import load_reader


@pytest.fixture
def _plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    names = [".drw", ".drw.txt", "text/csv", "application/json", "image/gif"]
    plugins = [{"name": name, "target": "a:b", "distribution": "acme 1", "path": ""} for name in names]
    monkeypatch.setenv(VARIABLE, json.dumps(plugins))
    plugins_of_worker.cache_clear()
    yield
    plugins_of_worker.cache_clear()


def reader_for(name: str, content: bytes = b"some text") -> str:
    return choose_type(InputFile(io.BytesIO(content), len(content), name, ExtractionLimits())).reader


@pytest.mark.usefixtures("_plugins")
@pytest.mark.parametrize(
    ("name", "reader"),
    [
        ("a.drw", ".drw"),
        ("a.b.DRW", ".drw"),
        ("a.drw.txt", ".drw.txt"),
        (".drw", "text"),
        ("drw", "text"),
        ("a.csv", "text/csv"),
        ("a.md", "markdown"),
    ],
)
def test_the_longest_suffix_wins_then_the_recognised_type(name: str, reader: str) -> None:
    assert reader_for(name) == reader


@pytest.mark.usefixtures("_plugins")
def test_unknown_content_goes_by_the_type_of_its_name() -> None:
    assert reader_for("a.gif", b"GIF89a") == "image/gif"
    with pytest.raises(UnsupportedFileTypeError):
        reader_for("a.png", b"\x89PNG\r\n\x1a\n")
    assert load_reader("image/gif") == plugins_of_worker()["image/gif"].read


def test_without_plugins_the_type_is_recognised() -> None:
    assert reader_for("a.csv") == "table"
