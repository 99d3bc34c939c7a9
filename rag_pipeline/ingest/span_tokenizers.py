"""Find the start and end of each token in a text, with a model's tokenizer or by estimate."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from rag_pipeline.common.normal_forms import nfd

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TokenSpan = tuple[int, int]
"""The start and end of a token in the text."""

# To the model, a word of more characters is one unknown token. But a piece cut from it, of up to this many characters,
# can have a token for each character after normalization, which makes up to three of one (Hangul).
LONG_WORD = 100


class SpanTokenizer(Protocol):
    """Finds the tokens of a text; thread-safe."""

    def spans(self, text: str) -> list[TokenSpan]:
        """Return the start and end of each token in ``text``, in order."""
        ...


class EstimatedSpanTokenizer:
    """Takes up to four letters or digits, or one other character, as a token.

    For models whose tokenizer is not available. Common vocabularies make fewer tokens of European languages, and more
    of others.
    """

    _token = re.compile(r"\w{1,4}|[^\w\s\x00-\x1f]")

    def spans(self, text: str) -> list[TokenSpan]:
        """Return the start and end of each token in ``text``, in order."""
        return [match.span() for match in self._token.finditer(text)]


class ModelSpanTokenizer:
    """Wraps a ``tokenizers.Tokenizer`` that neither truncates nor pads."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def spans(self, text: str) -> list[TokenSpan]:
        """Return the start and end of each token in ``text``, in order; long unknown words character by character."""
        spans: Sequence[TokenSpan] = self._tokenizer.encode(text, add_special_tokens=False).offsets
        if all(end - start <= LONG_WORD for start, end in spans):
            return list(spans)
        return [span for start, end in spans for span in _pieces(text, start, end)]


def _pieces(text: str, start: int, end: int) -> list[TokenSpan]:
    """Return a long word as one token for each normalized character: no piece of it can have more."""
    if end - start <= LONG_WORD:
        return [(start, end)]
    return [(at, at + 1) for at in range(start, end) for _ in nfd(text[at])]
