"""Words broken at line ends."""

from __future__ import annotations

import time

import pytest

from rag_pipeline.ingest.extract.readers.pdf.hyphens import join_broken_words


@pytest.mark.parametrize(
    ("lines", "joined"),
    [
        (["they must con-", "firm in writ-", "ing before noon"], ["they must confirm", "in writing", "before noon"]),
        (["a state-of-the-", "art house"], ["a state-of-the-art", "house"]),
        (["by self-", "service"], ["by self-service"]),
        (["an e-", "mail"], ["an e-mail"]),
        (["Haupt-", "und Nebenkosten"], ["Haupt-", "und Nebenkosten"]),
        (["pages 10-", "12 and"], ["pages 10-", "12 and"]),
        (["Anna-", "Lena"], ["Anna-", "Lena"]),
        (["the forty-", "two yards"], ["the forty-two", "yards"]),
        (["a forty-", "ish man"], ["a fortyish", "man"]),
        (["a re-entry, re-", "entry"], ["a re-entry, re-entry"]),
        (["cooperation and cross-", "ing; crossing"], ["cooperation and crossing;", "crossing"]),
        (["(un‐", "gewöhnlich)"], ["(ungewöhnlich)"]),
        (["a dash -", "and more"], ["a dash -", "and more"]),
        (["", "x"], ["", "x"]),
        ([], []),
    ],
)
def test_words_are_joined_and_compounds_keep_their_hyphen(lines: list[str], joined: list[str]) -> None:
    assert join_broken_words(lines) == joined


def test_many_broken_words_take_linear_time() -> None:
    started = time.process_time()
    join_broken_words(["a" * 50 + "-"] * 500)
    middle = time.process_time()
    join_broken_words(["a" * 50 + "-"] * 4_000)
    assert time.process_time() - middle < 40 * (middle - started) + 0.2
