"""Splits texts and questions into words in the same way, independent of the server's locale.

PostgreSQL would split at spaces and take ``a/b`` for a path. So the words are found here, and PostgreSQL stems them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from rag_pipeline.common.normal_forms import nfc, nfkd

MAX_QUERY_WORDS = 32
_MAX_WORD_LENGTH = 200  # longer ones are not words of a language

# Scripts without spaces between words: each pair of adjacent characters counts as a word.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf"
_UNSPACED += "\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
# Combining marks such as vowel signs, which Python's \w does not match.
_MARKS = "".join(chr(c) for c in range(0x300, 0x2000) if unicodedata.category(chr(c)).startswith("M"))
_WORD = re.compile(rf"([{_UNSPACED}]+)|(?:(?![{_UNSPACED}])[^\W_])(?:(?![{_UNSPACED}])[^\W_]|[{_MARKS}])*")
_ACCENTS = re.compile("[\u0300-\u036f]")


def words(text: str) -> Iterator[str]:
    """Yield the words in order, in lower case and without accents."""
    folded = text.lower() if text.isascii() else _fold(text)
    for match in _WORD.finditer(folded):
        run = match[1]
        if run is None or len(run) == 1:
            yield match[0][:_MAX_WORD_LENGTH]
        else:
            for start in range(len(run) - 1):
                yield run[start : start + 2]


def index_text(text: str) -> str:
    """Return the words separated by spaces, so that PostgreSQL finds the same words."""
    return " ".join(words(text))


def query_words(question: str) -> list[str]:
    """Return the first distinct words of a question."""
    distinct: dict[str, None] = {}
    for word in words(question):
        distinct[word] = None
        if len(distinct) == MAX_QUERY_WORDS:
            break
    return list(distinct)


def _fold(text: str) -> str:
    decomposed = nfkd(text).casefold()
    return nfc(_ACCENTS.sub("", decomposed))
