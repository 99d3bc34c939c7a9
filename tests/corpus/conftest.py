"""One extractor for all files."""

from __future__ import annotations

from tests.ingest.extract.conftest import extractor

__all__ = ["extractor"]
