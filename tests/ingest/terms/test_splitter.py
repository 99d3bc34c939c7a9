"""Splitting texts into words, identifiers and pairs of characters."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.ingest.terms.splitter import MAX_TERM_CHARACTERS, split
from tests.support.linear_time import assert_linear

IDENTIFIERS = {
    "getUserName": ["getUserName", "get", "User", "Name"],
    "snake_case": ["snake_case", "snake", "case"],
    "__init__": ["init"],
    "foo-bar": ["foo-bar", "foo", "bar"],
    "ERR_1042": ["ERR_1042", "ERR", "1042"],
    "v2.3.1": ["v2.3.1", "v2", "3", "1", "2", "2.3.1"],
    "HTTPServer": ["HTTPServer", "HTTP", "Server"],
    "user@example.com": ["user@example.com", "user", "example", "com"],
    "C++": ["C++", "C"],
    "C#": ["C#", "C"],
    "1,234.50": ["1234.50", "1234", "50"],
    "docs/backup.md": ["docs", "backup.md", "backup", "md"],
    "Größe": ["Größe"],
    "Ångström2": ["Ångström2", "Ångström", "2"],
}


def flat(text: str) -> list[str]:
    return [part for word in split(text) for part in (word.text, *word.parts)]


@pytest.mark.parametrize(("text", "found"), IDENTIFIERS.items())
def test_an_identifier_is_found_whole_and_by_its_parts(text: str, found: list[str]) -> None:
    assert flat(text) == found


def test_plain_text_is_split_at_everything_else() -> None:
    assert flat("Don’t panic, see (1) or… the end.Begin") == [
        "Don", "t", "panic", "see", "1", "or", "the", "end.Begin", "end", "Begin",
    ]  # fmt: skip
    assert flat("🎉 -- '; \0 \ud800") == []


def test_scripts_without_spaces_give_pairs_and_their_characters() -> None:
    assert [(word.text, word.characters) for word in split("東京は")] == [("東京", ("東", "京")), ("京は", ())]
    assert [word.text for word in split("ภาษา")] == ["ภา", "าษ", "ษา"]
    assert [word.text for word in split("犬")] == ["犬"]
    assert flat("v2東京") == ["v2", "2", "東京"]


def test_long_words_are_cut_and_long_identifiers_are_found_by_their_parts() -> None:
    assert flat("x" * 1000) == ["x" * MAX_TERM_CHARACTERS]
    assert flat("-".join(["ab"] * 50)) == ["ab"] * 50


@given(st.text())
def test_every_part_is_a_term(text: str) -> None:
    for word in split(text):
        for part in (word.text, *word.parts, *word.characters):
            assert part
            assert not set(part) & set(" \t\n\0")
            assert len(part) <= MAX_TERM_CHARACTERS


@pytest.mark.parametrize("piece", ["a-", "A", "a.", "東", "_", "1,", "1,111", "+#", "aA", "a\u0301", "-", "é_"])
def test_the_time_is_linear(piece: str) -> None:
    def prepare(size: int) -> Callable[[], object]:
        text = piece * (size // len(piece))
        return lambda: list(split(text))

    assert_linear(prepare, [2_000, 20_000, 200_000], piece)
