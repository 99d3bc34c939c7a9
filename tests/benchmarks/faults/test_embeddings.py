"""The least that had to be embedded is counted to the chunk."""

from __future__ import annotations

from benchmarks.faults.embeddings import Embeddings


def figures(embeddings: Embeddings) -> tuple[int, int, int]:
    return embeddings.made, embeddings.least, embeddings.after_deaths


def test_each_text_once_is_the_least() -> None:
    embeddings = Embeddings()
    embeddings.deliver(["a", "b"], "calm")
    embeddings.deliver(["b"], "a fault")
    assert figures(embeddings) == (3, 2, 0)
    assert embeddings.excess() == {"b": 1}
    assert embeddings.during("b") == ["calm", "a fault"]


def test_what_a_death_has_lost_may_be_made_once_more_and_what_was_stored_may_not() -> None:
    embeddings = Embeddings()
    embeddings.deliver(["lost", "stored", "lost"])
    embeddings.died({"stored"})
    embeddings.deliver(["lost", "stored"])
    assert embeddings.excess() == {"lost": 1, "stored": 1}
    assert figures(embeddings) == (5, 3, 1)


def test_a_death_says_nothing_of_what_another_process_got() -> None:
    embeddings = Embeddings()
    embeddings.deliver(["a"])
    embeddings.died({"a"})
    embeddings.died(set())  # by then the file may be gone
    embeddings.deliver(["a"])
    assert embeddings.excess() == {"a": 1}


def test_what_did_not_get_through_does_not_count() -> None:
    embeddings = Embeddings()
    embeddings.deliver(["a"])
    embeddings.retract(["a"])
    embeddings.died(set())
    embeddings.deliver(["a"])
    assert (figures(embeddings), embeddings.distinct, embeddings.excess()) == ((1, 1, 0), 1, {})


def test_a_text_that_was_gone_and_is_back_may_be_made_once_more() -> None:
    embeddings = Embeddings()
    embeddings.deliver(["one two\n", "three"])
    embeddings.returned("zero one two")
    embeddings.deliver(["one two\n", "three"])
    assert embeddings.excess() == {"three": 1}
    assert figures(embeddings) == (4, 3, 0)
