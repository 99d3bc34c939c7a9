"""Turns texts and questions into the terms that both stores index and search.

A term is a folded word, an identifier, or a pair of neighbours in a script without spaces. A word with an ending is
indexed with its stem too. An acronym such as ``WHO`` is also a term in capitals, which tells it from the word "who".
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from rag_pipeline.ingest.terms.folding import compose, fold_accents, fold_case
from rag_pipeline.ingest.terms.languages import DETECTED, STEMMERS, all_function_words, detect, function_words
from rag_pipeline.ingest.terms.splitter import Word, split

if TYPE_CHECKING:
    from Stemmer import Stemmer

TERMS_VERSION = 2
"""Raise it when the same text gives other terms: stores then index their texts again."""

AUTO = "auto"
NONE = "none"
MAX_QUERY_WORDS = 32
_LEAST_FUNCTION_WORDS = 3
_MAX_ACRONYM = 6
_MAX_FUNCTION_ACRONYM = 4
_MOSTLY_CAPITALS = 0.6


class QueryTerms(NamedTuple):
    """The terms of a question: those of its words, and the other forms of these words, which count less."""

    words: tuple[str, ...] = ()
    forms: tuple[str, ...] = ()


class _QueryWord(NamedTuple):
    """One word of a question: its own terms, and its other forms; a function word is no content."""

    words: tuple[str, ...]
    forms: tuple[str, ...] = ()
    is_content: bool = True


class TermAnalyzer:
    """Makes the terms of texts and questions; thread-safe.

    ``language`` is a code of :data:`~rag_pipeline.ingest.terms.languages.STEMMERS`, ``auto`` to recognize the language
    of each text by its function words, or ``none`` to stem nothing.
    """

    def __init__(self, language: str = AUTO) -> None:
        self.language = language
        self._local = threading.local()  # a stemmer must not be used by two threads

    @property
    def version(self) -> str:
        """Changes whenever the same text may give other terms."""
        return f"{TERMS_VERSION}:{self.language}"

    def index_terms(self, text: str) -> list[str]:
        """Return the terms of a text in order, repeated ones too."""
        text = compose(text)
        words = list(split(text))
        folded = [fold_case(word.text) for word in words]
        language = self._language(map(fold_accents, folded), _LEAST_FUNCTION_WORDS)
        has_acronyms = not _is_mostly_capitals(text)
        terms: list[str] = []
        for word, cased in zip(words, folded, strict=True):
            if word.is_pair:
                terms += word.characters
                terms.append(cased)
                continue
            if has_acronyms and _is_acronym(word.text):
                terms.append(word.text)
            terms += self._forms(cased, language if not word.parts else None)
            for part in word.parts:
                terms += self._forms(fold_case(part), language)
            terms += (fold_accents(fold_case(pair)) for pair in word.joined)
        return terms

    def query_terms(self, question: str) -> QueryTerms:
        """Return the terms of the first words of a question.

        Function words are left out, unless there are no others; but one that may be an acronym stands for it.
        """
        words: dict[str, None] = {}
        forms: dict[str, None] = {}
        for word in self._query_words(question):
            words |= dict.fromkeys(word.words)
            forms |= dict.fromkeys(word.forms)
        return QueryTerms(tuple(words), tuple(form for form in forms if form not in words))

    def share_of(self, question: str, text: str) -> float:
        """Return the share of a question's words that a text has in any form; 0 for a question without words."""
        asked = [word for word in self._query_words(question) if word.is_content]
        if not asked:
            return 0.0
        terms = frozenset(self.index_terms(text))
        return sum(not terms.isdisjoint((*word.words, *word.forms)) for word in asked) / len(asked)

    def is_ambiguous_acronym(self, question: str) -> bool:
        """Return whether a question is only an acronym that is a function word in small letters, such as ``IT``."""
        return _is_ambiguous_acronym(list(split(compose(question))))

    def _query_words(self, question: str) -> list[_QueryWord]:
        words = list(split(compose(question)))
        folded = [fold_accents(fold_case(word.text)) for word in words]
        language = self._language(folded, 1)
        ignored = all_function_words() if language is None else function_words(language)
        has_content = any(term not in ignored for term in folded)
        is_lone_acronym = _is_ambiguous_acronym(words)
        found: dict[str, _QueryWord] = {}
        for word, term in zip(words, folded, strict=True):
            if len(found) >= MAX_QUERY_WORDS:
                break
            if word.is_pair:
                found[term] = _QueryWord((term,))
                continue
            is_acronym = _is_acronym(word.text)
            is_content = is_acronym or term not in ignored or not has_content
            exact = [term] if term not in ignored or not has_content else []
            if is_acronym or (term in ignored and len(term) <= _MAX_FUNCTION_ACRONYM):
                exact.append(term.upper())
            if is_lone_acronym:
                exact.remove(term)
            forms = (term,) if is_lone_acronym else self._query_forms(word, language) if term in exact else ()
            found[word.text if is_acronym else term] = _QueryWord(tuple(exact), tuple(forms), is_content)
        return list(found.values())

    def _query_forms(self, word: Word, language: str | None) -> Iterator[str]:
        for part in (word.text, *word.parts):
            cased = fold_case(part)
            if part != word.text:
                yield fold_accents(cased)
            if cased.isalpha():
                for candidate in (language,) if language else self._candidates():
                    yield fold_accents(self._stemmer(candidate).stemWord(cased))

    def _candidates(self) -> tuple[str, ...]:
        return () if self.language == NONE else DETECTED

    def _language(self, folded: Iterable[str], least: int) -> str | None:
        if self.language == NONE:
            return None
        return detect(folded, least=least) if self.language == AUTO else self.language

    def _forms(self, cased: str, language: str | None) -> list[str]:
        """Return the folded word, and its stem if that is another word."""
        folded = fold_accents(cased)
        if language is None or not cased.isalpha() or folded in function_words(language):
            return [folded]
        stem = fold_accents(self._stemmer(language).stemWord(cased))
        return [folded] if stem == folded else [folded, stem]

    def _stemmer(self, language: str) -> Stemmer:
        from Stemmer import Stemmer

        stemmers: dict[str, Stemmer] = self._local.__dict__.setdefault("stemmers", {})
        if language not in stemmers:
            stemmers[language] = Stemmer(STEMMERS[language])
        return stemmers[language]


DEFAULT_ANALYZER = TermAnalyzer()
"""Recognizes the language of each text."""


def _is_acronym(word: str) -> bool:
    return 2 <= len(word) <= _MAX_ACRONYM and word.isalpha() and word.isupper()


def _is_ambiguous_acronym(words: Sequence[Word]) -> bool:
    if len(words) != 1 or not _is_acronym(words[0].text):
        return False
    return fold_accents(fold_case(words[0].text)) in all_function_words()


def _is_mostly_capitals(text: str) -> bool:
    capitals = sum(map(str.isupper, text))
    return capitals > _MOSTLY_CAPITALS * sum(map(str.isalpha, text))
