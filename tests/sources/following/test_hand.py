"""The jobs in one worker's hand: each is begun and ended once, whatever becomes of them."""

from __future__ import annotations

from collections.abc import Mapping

from rag_pipeline.errors import StoreError
from rag_pipeline.sources.following.breaker import Breakers
from rag_pipeline.sources.following.hand import Forget, Hand, Job
from rag_pipeline.sources.worker_pool import WorkerPool


def crew_with(*keys: str) -> WorkerPool[Job]:
    jobs: Mapping[str, Job] = {key: Forget(key) for key in keys}
    crew: WorkerPool[Job] = WorkerPool(lambda *_: None, threads=0, name="hand", on_change=lambda: None)
    crew.replace(lambda _: jobs)
    return crew


def test_what_was_taken_is_given_back_once_and_the_first_is_the_crews_own() -> None:
    crew = crew_with("b", "c")
    hand = Hand(crew, Breakers(), "a", Forget("a"))
    assert hand.take(lambda _: True) == ("b", Forget("b"))
    assert hand.take(lambda job: job == Forget("b")) is None
    assert (list(hand.jobs), crew.busy, crew.pending) == (["a", "b"], 1, 1)
    hand.done(["b"], again=True)
    hand.done(["b"])
    assert (crew.busy, crew.pending, hand.again) == (0, 2, False)
    hand.end(again=True)
    assert (hand.jobs, crew.pending, hand.again) == ({}, 2, True)


def test_while_a_dependency_fails_one_job_is_the_trial_and_no_other_is_taken() -> None:
    clock = [0.0]
    breakers = Breakers(clock=lambda: clock[0])
    crew: WorkerPool[Job] = WorkerPool(
        lambda *_: None, threads=0, name="hand", on_change=lambda: None, held=breakers.holds
    )
    crew.replace(lambda _: {"b": Forget("b")})
    breakers.trip("store", StoreError("down"), "x")
    clock[0] = 10.0
    assert not breakers.holds()
    hand = Hand(crew, breakers, "a", Forget("a"))
    assert hand.take(lambda _: True) is None
    hand.end()
    assert hand.take(lambda _: True) == ("b", Forget("b"))
    hand.end()
    assert not breakers.holds()
