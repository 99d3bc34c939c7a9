"""Colours and other codes for terminals."""

from __future__ import annotations

from rag_pipeline.ingest.extract.terminal_codes import without_terminal_codes


def test_codes_are_taken_out() -> None:
    assert without_terminal_codes("\x1b[1;31mError\x1b[0m: \x1b]0;title\x07none") == "Error: none"
    assert without_terminal_codes("a [0m b") == "a [0m b"
