"""The language of a text is recognized by its function words."""

from __future__ import annotations

import pytest
import Stemmer

from rag_pipeline.ingest.terms.folding import fold_accents
from rag_pipeline.ingest.terms.languages import DETECTED, STEMMERS, detect, function_words

TEXTS = {
    "en": "the heron stands in the reeds and it waits for a fish that is near",
    "de": "der Reiher steht im Schilf und er wartet auf einen Fisch der nicht weit ist",
    "fr": "le héron est dans les roseaux et il attend un poisson qui ne vient pas",
    "es": "la garza está en los juncos y espera un pez que no está lejos",
    "it": "il libro è nella biblioteca e non si trova sul tavolo della sala",
    "pt": "o livro está na biblioteca e não se encontra em uma mesa da sala",
    "nl": "de reiger staat in het riet en wacht op een vis die niet ver is",
    "sv": "boken är på bordet och den som läser det är inte en av dem",
    "fi": "kirja on pöydällä ja se joka lukee ei ole tämä vaan myös muut",
    "pl": "książka jest na stole i nie ma jej w bibliotece bo to jest już tak",
    "ru": "книга лежит на столе и она не в библиотеке потому что это так",
    "tr": "kitap masada ve bu bir şey değil ama çok daha iyi için",
}


@pytest.mark.parametrize("language", TEXTS)
def test_a_sentence_is_enough(language: str) -> None:
    words = [fold_accents(word.lower()) for word in TEXTS[language].split()]
    assert detect(words, least=3) == language


@pytest.mark.parametrize("text", ["", "zebrafish aquarium", "de la", "東京 は", "42 17"])
def test_without_enough_function_words_no_language_is_assumed(text: str) -> None:
    assert detect(text.split(), least=3) is None


def test_recognized_languages_have_function_words_and_all_have_a_stemmer() -> None:
    assert all(len(function_words(language)) > 20 for language in DETECTED)
    assert set(DETECTED) <= set(STEMMERS)
    assert set(STEMMERS.values()) <= set(Stemmer.algorithms())
    assert function_words("hu") == frozenset()
