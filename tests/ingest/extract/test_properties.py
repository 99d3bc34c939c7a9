"""Any bytes give a document or an ExtractionError, and the worker survives."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag_pipeline.errors import ExtractionError
from rag_pipeline.ingest.extract import ProcessExtractor
from tests.ingest.extract.makers import EXAMPLES

pytestmark = pytest.mark.slow

_FILES = sorted(path for path in EXAMPLES.rglob("*") if path.is_file())
_SUFFIXES = [
    ".txt",
    ".md",
    ".html",
    ".xml",
    ".csv",
    ".json",
    ".ipynb",
    ".eml",
    ".rtf",
    ".pdf",
    ".docx",
    ".xlsx",
    ".epub",
    "",
]
_BUDGET = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def check(extractor: ProcessExtractor, path: Path, data: bytes) -> None:
    path.write_bytes(data)
    message = ""
    try:
        document = extractor.extract(str(path))
    except ExtractionError as error:
        message = str(error)
    else:
        assert any(section.text.strip() for section in document.sections)
        for section in document.sections:
            section.text.encode()
            section.locator.encode()
    assert not message or message.startswith(path.name)
    assert "crashed" not in message
    assert "\n" not in message


@_BUDGET
@given(data=st.binary(max_size=2000), suffix=st.sampled_from(_SUFFIXES))
def test_random_bytes_do_not_end_the_worker(
    extractor: ProcessExtractor, tmp_path: Path, data: bytes, suffix: str
) -> None:
    check(extractor, tmp_path / f"random{suffix}", data)


@pytest.mark.parametrize("example", _FILES, ids=lambda path: path.name)
@settings(_BUDGET, max_examples=12)
@given(data=st.data())
def test_damaged_examples_do_not_end_the_worker(
    extractor: ProcessExtractor, tmp_path: Path, example: Path, data: st.DataObject
) -> None:
    content = bytearray(example.read_bytes())
    if data.draw(st.booleans(), "cut"):
        del content[data.draw(st.integers(0, len(content) - 1), "at") :]
    for _ in range(data.draw(st.integers(0, 8), "flips")):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    check(extractor, tmp_path / example.name, bytes(content))
