"""The words of a text, the same way for what is stored and for what is asked, whatever the server's locale is.

PostgreSQL splits at spaces and takes ``a/b`` for a path: so the words are found here, and it stems them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from rag_pipeline.common.normal_forms import nfc, nfkd

MAX_QUERY_WORDS = 32
_MOST_LENGTH = 200  # a longer word is one only to a program

# Scripts without spaces between words; each two neighbours make a word, as a search for one of them would.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf"
_UNSPACED += "\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
# Vowel signs and the like, which Python's \w leaves out.
_MARKS = "".join(chr(c) for c in range(0x300, 0x2000) if unicodedata.category(chr(c)).startswith("M"))
_WORD = re.compile(rf"([{_UNSPACED}]+)|(?:(?![{_UNSPACED}])[^\W_])(?:(?![{_UNSPACED}])[^\W_]|[{_MARKS}])*")
_ACCENTS = re.compile("[\u0300-\u036f]")


def words(text: str) -> Iterator[str]:
    """Yield the words in their order, in small letters and without accents."""
    folded = text.lower() if text.isascii() else _fold(text)
    for match in _WORD.finditer(folded):
        run = match[1]
        if run is None or len(run) == 1:
            yield match[0][:_MOST_LENGTH]
        else:
            for start in range(len(run) - 1):
                yield run[start : start + 2]


def index_text(text: str) -> str:
    """Return the words with a space between each two: no other reading of it is left to PostgreSQL."""
    return " ".join(words(text))


def query_words(question: str) -> list[str]:
    """Return the first words of a question, each once."""
    found: dict[str, None] = {}
    for word in words(question):
        found[word] = None
        if len(found) == MAX_QUERY_WORDS:
            break
    return list(found)


def _fold(text: str) -> str:
    decomposed = nfkd(text).casefold()
    return nfc(_ACCENTS.sub("", decomposed))
