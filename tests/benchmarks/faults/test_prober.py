"""A search that misses a text, or fails, is noted with what went on."""

from __future__ import annotations

import random

import pytest

from benchmarks.faults.known import Known
from benchmarks.faults.prober import Prober
from benchmarks.faults.texts import Text
from rag_pipeline.errors import StoreError
from rag_pipeline.ingest.types import SearchHit
from tests.support.waiting import wait_until

TEXT = Text("qax", "qax one\nqax two\n")


class Answers:
    """A store that shows what a test says."""

    def __init__(self) -> None:
        self.hits = [SearchHit("qax one\n", "id", "a.txt", "", "", 1.0)]
        self.error: Exception | None = None
        self.questions: list[str] = []

    def search(self, question: str, vector: object, *, limit: int = 5) -> list[SearchHit]:
        self.questions.append(question)
        if self.error is not None:
            raise self.error
        return self.hits


@pytest.fixture
def known() -> Known:
    known = Known()
    known.come("a.txt", TEXT)
    return known


def test_a_text_that_was_found_once_is_missed(known: Known) -> None:
    store = Answers()
    prober = Prober(store, known, random.Random(1), lambda: "a fault")
    prober.ask_once()
    assert (prober.asked, prober.misses) == (0, [])  # it was not known yet that it is stored
    prober.ask_once()
    assert (prober.asked, prober.misses) == (1, [])
    store.hits = []
    prober.ask_once()
    [miss] = prober.misses
    assert (prober.asked, miss.name, miss.why) == (2, "a.txt", "a fault: not found when asked again")


def test_a_search_that_fails_is_a_miss(known: Known) -> None:
    store = Answers()
    store.error = StoreError("damaged")
    prober = Prober(store, known, random.Random(1), lambda: "a fault")
    prober.ask_once()
    assert [miss.why for miss in prober.misses] == ["a fault: the search failed: damaged"]


def test_it_asks_all_the_time(known: Known) -> None:
    store = Answers()
    with Prober(store, known, random.Random(1), lambda: "") as prober:
        wait_until(lambda: prober.asked >= 3, seconds=20)
    assert (prober.misses, set(store.questions)) == ([], {"qax"})


def test_several_files_are_asked_for_with_one_search_and_a_long_one_alone() -> None:
    known, store = Known(), Answers()
    for number in range(3):
        known.come(f"{number}.txt", Text(f"q{number}x", "short"))
    prober = Prober(store, known, random.Random(1), lambda: "")
    prober.ask_once()
    assert sorted(store.questions[0].split()) == ["q0x", "q1x", "q2x"]
    known.come("long.txt", Text("qlx", "qlx " * 1000))
    prober.ask_once()
    assert store.questions[1] == "qlx"
