"""Characters of symbol fonts."""

from __future__ import annotations

import pytest

from rag_pipeline.ingest.extract.symbol_font import symbol


@pytest.mark.parametrize(
    ("code", "font", "shown"),
    [
        (0x61, "Symbol", "α"),
        (0xF057, "Symbol", "Ω"),
        (0xA3, "Symbol", "≤"),
        (0xE5, "Symbol", "∑"),
        (0xB7, "Symbol", "•"),
        (0xF0FC, "Wingdings", "✓"),
        (0x01, "Wingdings", "•"),
        (0x41, "Arial", "A"),
        (0x1F600, "Segoe UI", "😀"),
        (0xD800, "Arial", ""),
    ],
)
def test_a_symbol_is_shown_in_unicode(code: int, font: str, shown: str) -> None:
    assert symbol(code, font) == shown
