"""Normalizes text for searching: case and Unicode form make no difference."""

from __future__ import annotations

from rag_pipeline.common.normal_forms import nfc


def folded(text: str) -> str:
    """Return the text in the form that is compared."""
    folded = text.casefold()
    return folded if folded.isascii() else nfc(folded)
