"""The jobs in one worker's hand: each is begun and ended once, whatever becomes of them."""

from __future__ import annotations

from collections.abc import Mapping

from rag_pipeline.errors import StoreError
from rag_pipeline.sources.following.circuit_breakers import CircuitBreakers
from rag_pipeline.sources.following.job_batch import JobBatch
from rag_pipeline.sources.following.jobs import DeleteFile, Job
from rag_pipeline.sources.worker_pool import WorkerPool


def crew_with(*keys: str) -> WorkerPool[Job]:
    jobs: Mapping[str, Job] = {key: DeleteFile(key) for key in keys}
    pool: WorkerPool[Job] = WorkerPool(lambda *_: None, threads=0, name="hand", on_change=lambda: None)
    pool.replace_pending(lambda _: jobs)
    return pool


def test_what_was_taken_is_given_back_once_and_the_first_is_the_crews_own() -> None:
    pool = crew_with("b", "c")
    hand = JobBatch(pool, CircuitBreakers(), "a", DeleteFile("a"))
    assert hand.take_next(lambda _: True) == ("b", DeleteFile("b"))
    assert hand.take_next(lambda job: job == DeleteFile("b")) is None
    assert (list(hand.jobs), pool.busy, pool.pending) == (["a", "b"], 1, 1)
    hand.finish(["b"], put_back=True)
    hand.finish(["b"])
    assert (pool.busy, pool.pending, hand.put_back_first) == (0, 2, False)
    hand.finish_all(put_back=True)
    assert (hand.jobs, pool.pending, hand.put_back_first) == ({}, 2, True)


def test_while_a_dependency_fails_one_job_is_the_trial_and_no_other_is_taken() -> None:
    clock = [0.0]
    breakers = CircuitBreakers(clock=lambda: clock[0])
    pool: WorkerPool[Job] = WorkerPool(
        lambda *_: None, threads=0, name="hand", on_change=lambda: None, is_held=breakers.holds
    )
    pool.replace_pending(lambda _: {"b": DeleteFile("b")})
    breakers.trip("store", StoreError("down"), "x")
    clock[0] = 10.0
    assert not breakers.holds()
    hand = JobBatch(pool, breakers, "a", DeleteFile("a"))
    assert hand.take_next(lambda _: True) is None
    hand.finish_all()
    assert hand.take_next(lambda _: True) == ("b", DeleteFile("b"))
    hand.finish_all()
    assert not breakers.holds()
