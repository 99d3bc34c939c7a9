"""Where the tokens of a text begin and end, for counting: by a model's own tokenizer, or by estimate."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from rag_pipeline.common.normal_forms import nfd

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Spans = list[tuple[int, int]]

# A word of more characters is one unknown token to the model, however long it is; a piece cut from it can be up to
# this long and have as many tokens as characters, after normalisation has made up to three of each (Hangul).
LONG_WORD = 100


class SpanTokenizer(Protocol):
    """Finds tokens; safe to call from several threads."""

    def spans(self, text: str) -> Spans:
        """Return the start and end of each token in ``text``, in order."""
        ...


class EstimatedSpanTokenizer:
    """Counts four letters or digits, or one other character, as a token: for models whose tokenizer isn't at hand.

    That is more tokens than the usual vocabularies make of European languages, and fewer of others.
    """

    _token = re.compile(r"\w{1,4}|[^\w\s\x00-\x1f]")

    def spans(self, text: str) -> Spans:
        """Return the start and end of each token in ``text``, in order."""
        return [match.span() for match in self._token.finditer(text)]


class ModelSpanTokenizer:
    """Counts with a ``tokenizers.Tokenizer`` that neither truncates nor pads."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def spans(self, text: str) -> Spans:
        """Return the start and end of each token in ``text``, in order; long unknown words by character."""
        found: Sequence[tuple[int, int]] = self._tokenizer.encode(text, add_special_tokens=False).offsets
        if all(end - start <= LONG_WORD for start, end in found):
            return list(found)
        return [span for start, end in found for span in _pieces(text, start, end)]


def _pieces(text: str, start: int, end: int) -> Spans:
    """Return a long word as one token for each normalised character: the most that any piece of it can have."""
    if end - start <= LONG_WORD:
        return [(start, end)]
    return [(at, at + 1) for at in range(start, end) for _ in nfd(text[at])]
