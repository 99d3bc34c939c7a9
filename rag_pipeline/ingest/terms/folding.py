"""Folds the case, accents and compatibility characters of words, so that every way of writing one is found."""

from __future__ import annotations

import re

from rag_pipeline.common.normal_forms import nfc, nfd, nfkd

# Accents of Latin, Greek and Cyrillic; points and vowel signs that Hebrew and Arabic texts usually leave out.
_OPTIONAL_MARKS = re.compile(
    "[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0640\u064b-\u065f\u0670]"
)
# Letters that have no decomposition.
_LETTERS = str.maketrans({"ø": "o", "đ": "d", "ł": "l", "ħ": "h", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th", "ð": "d"})


def compose(text: str) -> str:
    """Return the text with compatibility characters such as ligatures replaced (NFKC)."""
    return text if text.isascii() else nfc(nfkd(text))


def fold_case(word: str) -> str:
    """Return a composed word without differences of case, with its accents: the form that stemmers expect."""
    return word.lower() if word.isascii() else nfc(word.casefold())


def fold_accents(word: str) -> str:
    """Return the word, whose case is folded, without accents and other optional marks."""
    return word if word.isascii() else nfc(_OPTIONAL_MARKS.sub("", nfd(word)).translate(_LETTERS))
