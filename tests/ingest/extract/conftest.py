"""An extractor shared by the tests that don't kill its worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rag_pipeline.ingest.extract import ProcessExtractor


@pytest.fixture(scope="session")
def extractor() -> Iterator[ProcessExtractor]:
    """An extractor with the default limits."""
    with ProcessExtractor() as extractor:
        yield extractor
