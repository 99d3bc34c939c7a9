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


def test_taken_jobs_are_released_once_and_the_pool_ends_the_first() -> None:
    pool = crew_with("b", "c")
    batch = JobBatch(pool, CircuitBreakers(), "a", DeleteFile("a"))
    assert batch.take_next(lambda _: True) == ("b", DeleteFile("b"))
    assert batch.take_next(lambda job: job == DeleteFile("b")) is None
    assert (list(batch.jobs), pool.busy, pool.pending) == (["a", "b"], 1, 1)
    batch.finish(["b"], put_back=True)
    batch.finish(["b"])
    assert (pool.busy, pool.pending, batch.put_back_first) == (0, 2, False)
    batch.finish_all(put_back=True)
    assert (batch.jobs, pool.pending, batch.put_back_first) == ({}, 2, True)


def test_the_trial_job_takes_no_other_job() -> None:
    clock = [0.0]
    breakers = CircuitBreakers(clock=lambda: clock[0])
    pool: WorkerPool[Job] = WorkerPool(
        lambda *_: None, threads=0, name="hand", on_change=lambda: None, is_held=breakers.holds
    )
    pool.replace_pending(lambda _: {"b": DeleteFile("b")})
    breakers.trip("store", StoreError("down"), "x")
    clock[0] = 10.0
    assert not breakers.holds()
    batch = JobBatch(pool, breakers, "a", DeleteFile("a"))
    assert batch.take_next(lambda _: True) is None
    batch.finish_all()
    assert batch.take_next(lambda _: True) == ("b", DeleteFile("b"))
    batch.finish_all()
    assert not breakers.holds()
