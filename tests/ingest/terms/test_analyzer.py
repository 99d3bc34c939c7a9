"""Terms of texts and questions."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.ingest.terms.analyzer import MAX_QUERY_WORDS, NONE, TermAnalyzer

AUTO = TermAnalyzer()

FOUND = [
    ("WHO", "Guidelines of the WHO on noise"),
    ("it", "The IT department is on the second floor"),
    ("who guidelines", "WHO guidelines for drinking water"),
    ("getUserName", "call getUserName() first"),
    ("user name", "call getUserName() first"),
    ("username", "call getUserName() first"),
    ("username", "call get_user_name() first"),
    ("email", "by e-mail"),
    ("snake_case", "in snake_case, always"),
    ("case", "in snake_case, always"),
    ("1042", "failed with ERR_1042"),
    ("2.3.1", "since v2.3.1"),
    ("cafe", "ein Café in Wien"),
    ("CAFÉ", "ein cafe in Wien"),
    ("herons", "The heron stands in the reeds, and it waits for a fish."),
    ("heron", "All the herons are in the reeds, and they wait for a fish."),
    ("Häusern", "Das Haus steht in der Stadt und es ist nicht groß."),
    ("首都", "東京は日本の首都です"),
    ("犬", "犬は動物です"),
    ("서울", "서울은 대한민국의 수도이다"),
    ("ประเทศ", "กรุงเทพเป็นเมืองหลวงของประเทศไทย"),
    ("strasse", "in der Straße"),
]


@pytest.mark.parametrize(("question", "text"), FOUND)
def test_a_question_has_a_term_of_the_text(question: str, text: str) -> None:
    query = AUTO.query_terms(question)
    assert {*query.words, *query.forms} & set(AUTO.index_terms(text))
    assert AUTO.share_of(question, text) == 1.0


def test_an_acronym_is_told_from_the_function_word() -> None:
    assert "WHO" not in AUTO.index_terms("Who are you, and who is it?")
    assert "WHO" in AUTO.query_terms("what does the WHO say").words
    assert "who" not in AUTO.query_terms("what does the WHO say").words


@pytest.mark.parametrize(("acronym", "word"), [("IT", "it"), ("WHO", "who")])
def test_a_question_of_one_acronym_prefers_it_to_the_function_word(acronym: str, word: str) -> None:
    assert AUTO.query_terms(acronym) == ((acronym,), (word,))
    assert AUTO.is_ambiguous_acronym(acronym)
    assert not any(map(AUTO.is_ambiguous_acronym, (word, "NASA", f"{acronym} {acronym}", "", f"the {acronym}")))


def test_a_text_in_capitals_has_no_acronyms() -> None:
    assert AUTO.index_terms("WHO IS IT") == ["who", "is", "it"]


def test_function_words_are_left_out_unless_there_are_no_others() -> None:
    assert [term for term in AUTO.query_terms("the heron in the reeds").words if term.islower()] == ["heron", "reeds"]
    assert {"to", "be", "or", "not"} <= set(AUTO.query_terms("to be or not to be").words)


def test_a_fixed_language_is_used_for_every_text_and_none_stems_nothing() -> None:
    assert TermAnalyzer("en").index_terms("herons") == ["herons", "heron"]
    assert AUTO.index_terms("herons") == ["herons"]
    assert TermAnalyzer(NONE).index_terms("the herons are in the reeds") == [
        "the",
        "herons",
        "are",
        "in",
        "the",
        "reeds",
    ]
    assert TermAnalyzer(NONE).query_terms("herons").forms == ()
    assert len({TermAnalyzer(language).version for language in ("auto", NONE, "en", "de")}) == 4


def test_the_share_counts_each_word_in_any_form() -> None:
    assert AUTO.share_of("best pizza in town", "the best wing in a slipstream") == pytest.approx(1 / 3)
    assert AUTO.share_of("?!", "text") == 0.0


def test_a_question_has_a_limited_number_of_words() -> None:
    assert len(AUTO.query_terms(" ".join(f"w{n}x" for n in range(1000))).words) == MAX_QUERY_WORDS


@given(st.text())
def test_terms_can_be_separated_by_spaces(text: str) -> None:
    terms = AUTO.index_terms(text)
    " ".join(terms).encode("utf-8")
    assert " ".join(terms).split() == terms
    query = AUTO.query_terms(text)
    assert not set(query.words) & set(query.forms)


def test_threads_share_an_analyzer() -> None:
    texts = [f"the herons number{n} are running in the reeds and waiting" for n in range(200)]
    expected = [AUTO.index_terms(text) for text in texts]
    found: list[bool] = []
    threads = [
        threading.Thread(target=lambda: found.append([AUTO.index_terms(text) for text in texts] == expected))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [True] * 4
