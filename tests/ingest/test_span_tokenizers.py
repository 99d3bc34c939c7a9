"""Token spans, from the model's tokenizer or estimated; a piece of text never has more tokens than its spans."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from rag_pipeline.ingest.embed.model_files import find_model, read_tokenizer
from rag_pipeline.ingest.span_tokenizers import LONG_WORD, EstimatedSpanTokenizer, ModelSpanTokenizer, SpanTokenizer

TOKENIZER: Tokenizer = read_tokenizer(find_model())
MODEL = ModelSpanTokenizer(TOKENIZER)


def tokens(text: str) -> int:
    return len(TOKENIZER.encode(text, add_special_tokens=False).ids)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []),
        (" \n\t\0\x1f", []),
        ("word", ["word"]),
        ("words", ["word", "s"]),
        ("a b", ["a", "b"]),
        ("no. 12345!", ["no", ".", "1234", "5", "!"]),
        ("snake_case", ["snak", "e_ca", "se"]),
        ("日本の首都です。", ["日本の首", "都です", "。"]),
        ("🎉🎉", ["🎉", "🎉"]),
        ("x\0y", ["x", "y"]),
    ],
)
def test_the_estimate_is_four_letters_or_one_other_character(text: str, parts: list[str]) -> None:
    assert [text[start:end] for start, end in EstimatedSpanTokenizer().spans(text)] == parts


@pytest.mark.slow
@pytest.mark.parametrize("spans", [EstimatedSpanTokenizer(), MODEL], ids=["estimate", "model"])
@settings(max_examples=60)
@given(text=st.text(max_size=60), times=st.integers(1, 40))
def test_spans_are_in_order_and_cover_the_words(spans: SpanTokenizer, text: str, times: int) -> None:
    whole = text * times
    found = spans.spans(whole)
    assert all(0 <= start <= end <= len(whole) for start, end in found)
    assert [start for start, _ in found] == sorted(start for start, _ in found)
    assert [end for _, end in found] == sorted(end for _, end in found)
    covered = {at for start, end in found for at in range(start, end)}
    assert all(at in covered for at, character in enumerate(whole) if character.isascii() and character.isalnum())


@pytest.mark.parametrize("text", ["", "Hello, world.", "unbelievable " * 500, "東京は日本の首都です。", "naïve café"])
def test_the_spans_are_those_of_the_models_tokenizer(text: str) -> None:
    assert MODEL.spans(text) == TOKENIZER.encode(text, add_special_tokens=False).offsets
    assert len(MODEL.spans(text)) == tokens(text)


def test_a_word_too_long_for_the_model_counts_each_character() -> None:
    """To the model it is one unknown token, but a piece of it may have many."""
    assert MODEL.spans("q" * 1000) == [(at, at + 1) for at in range(1000)]
    assert tokens("q" * 1000) == 1
    around = MODEL.spans("before " + "q" * (LONG_WORD + 1) + " after")
    assert len(around) == LONG_WORD + 3
    assert (around[0], around[-1]) == ((0, 6), (7 + LONG_WORD + 2, 7 + LONG_WORD + 7))


def test_a_word_within_the_models_limit_keeps_its_tokens() -> None:
    for length in (LONG_WORD - 1, LONG_WORD):
        assert MODEL.spans("q" * length) == TOKENIZER.encode("q" * length, add_special_tokens=False).offsets


@pytest.mark.parametrize(("character", "each"), [("a", 1), ("é", 2), ("하", 2), ("한", 3)])
def test_a_character_counts_as_its_normalized_characters(character: str, each: int) -> None:
    assert len(MODEL.spans(character * 200)) == 200 * each


@settings(max_examples=100)
@given(
    word=st.text(st.sampled_from("aqzé한하ñßﬁ9"), min_size=1, max_size=20),
    times=st.integers(8, 40),
    cut=st.tuples(st.integers(0, 400), st.integers(1, 120)),
)
def test_a_piece_of_a_long_word_has_no_more_tokens_than_counted(word: str, times: int, cut: tuple[int, int]) -> None:
    text = word * times
    found = MODEL.spans(text)
    if len(text) <= 3 * LONG_WORD:
        text = word * (1 + 3 * LONG_WORD // len(word))
        found = MODEL.spans(text)
    start, end = cut[0] % len(text), min(len(text), cut[0] % len(text) + cut[1])
    assert tokens(text[start:end]) <= sum(start <= low and high <= end for low, high in found)
