"""Text is cleaned for stores and searches."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.ingest.extract.clean_text import clean, count_odd


@given(st.text(alphabet=st.characters()))
def test_clean_text_is_valid_unicode(text: str) -> None:
    cleaned = clean(text)
    cleaned.encode()
    assert not any(ord(char) < 32 and char not in "\t\n" for char in cleaned)


@given(st.text(alphabet=st.sampled_from("ab e\u0301\u0316\xad\u200b\u200d\ufb01\u0645\n"), max_size=60))
def test_words_are_composed_and_have_no_invisible_characters(text: str) -> None:
    cleaned = clean(text)
    assert unicodedata.is_normalized("NFC", cleaned)
    assert not set(cleaned) & set("\xad\u200b\ufb01")


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("a\ud83d\r\nb\x00\x07 \f", "a\ufffd\nb\n"),
        ("o\ufb03ce \ufb02y", "office fly"),
        ("exam\xad\nple, hy\xadphen", "example, hyphen"),
        ("zero\u200bwidth wo\u2060rd \u202aleft\u202c", "zerowidth word left"),
        ("Cafe\u0301 A\u030angstro\u0308m", "Café Ångström"),
        ("a\u200cb", "ab"),
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"),
        ("\U0001f468\u200d\U0001f469", "\U0001f468\u200d\U0001f469"),
        ("\ufefc\ufe8e", "\u0644\u0627\u0627"),
        ("\uf0b7 item", "• item"),
        ("\u2f08\u2f00", "人一"),
        ("\u0e2a\u0e4d\u0e32\u0e2b\u0e23\u0e31\u0e1a", "\u0e2a\u0e33\u0e2b\u0e23\u0e31\u0e1a"),
    ],
)
def test_clean(text: str, right: str) -> None:
    assert clean(text) == right


@pytest.mark.parametrize("marks", ["\u0300\u0316", "\u05b0\u05b1", "\u302a\u302e"])
def test_runs_of_marks_take_linear_time(marks: str) -> None:
    short, long = "a" + marks * 8_000, "a" + marks * 64_000
    started = time.process_time()
    clean(short)
    middle = time.process_time()
    clean(long)
    # Eight times the text; quadratic time would be 64 times as long.
    assert time.process_time() - middle < 30 * (middle - started) + 0.1


def test_odd_characters_are_counted() -> None:
    assert count_odd("a é \ufffd\uf0b7\ue000\x01\t\n") == 3
