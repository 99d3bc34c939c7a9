"""The options that decide which parts of a file are read."""

from __future__ import annotations

from rag_pipeline.ingest.extract.read_options import ReadOptions


def test_comments_are_read_and_hidden_text_is_not() -> None:
    assert ReadOptions() == ReadOptions(hidden=False, comments=True)
