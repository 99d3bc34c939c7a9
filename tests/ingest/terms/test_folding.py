"""Words that are written in several ways have one folded form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.ingest.terms.folding import compose, fold_accents, fold_case

SAME = [
    ("Café", "cafe"),
    ("ÜBER", "uber"),
    ("Straße", "strasse"),
    ("ﬁne", "fine"),
    ("Ørsted", "orsted"),
    ("Łódź", "lodz"),
    ("İstanbul", "istanbul"),
    ("ΣΊΣΥΦΟΣ", "σισυφοσ"),
    ("Ёлка", "елка"),
    ("שָׁלוֹם", "שלום"),
    ("مُحَمَّد", "محمد"),
    ("ＡＢＣ", "abc"),
]


def fold(word: str) -> str:
    return fold_accents(fold_case(compose(word)))


@pytest.mark.parametrize(("written", "folded"), SAME)
def test_case_accents_and_compatibility_characters_make_no_difference(written: str, folded: str) -> None:
    assert fold(written) == folded


def test_vowel_signs_that_belong_to_a_word_stay() -> None:
    assert fold("हिन्दी") == "हिन्दी"
    assert fold("がく") == "がく"


@given(st.text())
def test_folding_twice_changes_nothing(text: str) -> None:
    once = fold(text.encode("utf-8", "ignore").decode())
    assert fold(once) == once
