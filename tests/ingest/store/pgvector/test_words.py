"""Splitting texts and questions into words."""

from __future__ import annotations

from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.ingest.store.pgvector.words import MAX_QUERY_WORDS, index_text, query_words, words

pytestmark = pytest.mark.slow

TEXTS = {
    "The Heron": ["the", "heron"],
    "see docs/backup.md": ["see", "docs", "backup", "md"],
    "snake_case, kebab-case": ["snake", "case", "kebab", "case"],
    "Ein Café, déjà vu": ["ein", "cafe", "deja", "vu"],
    "Straße": ["strasse"],
    "ﬁne ½": ["fine", "1", "2"],
    "東京は": ["東京", "京は"],
    "犬": ["犬"],
    "v2東京": ["v2", "東京"],
    "東京v2": ["東京", "v2"],
    "ภาษา": ["ภา", "าษ", "ษา"],
    "हिन्दी में": ["हिन्दी", "में"],
    "שָׁלוֹם": ["שָׁלוֹם"],
    "Привет, мир!": ["привет", "мир"],
    "🎉 -- '; \0 \ud800": [],
    "": [],
}


@pytest.mark.parametrize(("text", "found"), TEXTS.items(), ids=ascii)
def test_words_of_a_text(text: str, found: list[str]) -> None:
    assert list(words(text)) == [normalize("NFC", word) for word in found]


@given(st.text())
def test_indexed_text_is_the_words_separated_by_spaces(text: str) -> None:
    indexed = index_text(text)
    indexed.encode("utf-8")
    assert "\0" not in indexed
    assert indexed.split(" ") == (list(words(text)) or [""])


@given(st.text())
def test_case_does_not_matter(text: str) -> None:
    ascii_text = text.encode("ascii", "ignore").decode()
    assert index_text(ascii_text.upper()) == index_text(ascii_text.lower())


def test_a_query_has_the_first_distinct_words() -> None:
    assert query_words("is it, or is it not") == ["is", "it", "or", "not"]
    assert query_words(" ".join(f"w{n}" for n in range(1000))) == [f"w{n}" for n in range(MAX_QUERY_WORDS)]


def test_a_very_long_word_is_cut() -> None:
    assert index_text("x" * 1_000_000) == "x" * 200
