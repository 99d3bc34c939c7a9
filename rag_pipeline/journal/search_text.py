"""Text to search by: case and Unicode form make no difference."""

from __future__ import annotations

from rag_pipeline.normal_forms import nfc, nfd


def folded(text: str) -> str:
    """Return the text as it is compared."""
    folded = text.casefold()
    return folded if folded.isascii() else nfc(folded)


def spellings(text: str) -> tuple[str, ...]:
    """Return the lower-case forms in which a text may have been kept, as a file that was written earlier has them."""
    lower = text.casefold()
    return tuple(dict.fromkeys((lower, nfc(lower), nfd(lower))))
