"""The pool of workers."""

from __future__ import annotations

import threading

# The C class behind queue.SimpleQueue, as in the module.
from _queue import SimpleQueue

import pytest

from rag_pipeline.common import native
from rag_pipeline.http_server import workers
from rag_pipeline.http_server.cpu_budget import CpuBudget
from rag_pipeline.http_server.workers import LEAVES, RequestWorkers

SECONDS = 30.0


def plenty() -> CpuBudget:
    return CpuBudget(1.0, 1e9)


def test_few_jobs_compute_at_once_and_others_start_beside_waiting_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "COMPUTES_SECONDS", SECONDS)
    release = threading.Event()
    pool: RequestWorkers[int] = RequestWorkers(lambda _: release.wait(SECONDS), 64, "test", plenty())
    for job in range(10):
        pool.add(job, 0.0)
    assert len(pool.waiting) == 10 - workers.MOST_COMPUTING
    pool.job_done(0)
    assert len(pool.waiting) == 9 - workers.MOST_COMPUTING
    monkeypatch.setattr(workers, "COMPUTES_SECONDS", 0.0)
    pool.start_jobs()
    assert not pool.waiting
    release.set()
    pool.end()


def test_no_job_starts_without_cpu_time() -> None:
    now = 0.0
    pool: RequestWorkers[str] = RequestWorkers(lambda _: None, 4, "test", CpuBudget(0.5, 0.005, lambda: now))
    pool.add("a", 0.0)
    pool.job_done("a", cpu_seconds=0.01)
    pool.add("b", 0.0)
    assert pool.waiting
    now = 0.2
    pool.start_jobs()
    assert not pool.waiting
    pool.end()


def test_no_more_jobs_run_than_threads_are_allowed() -> None:
    begun: SimpleQueue[str] = SimpleQueue()
    release = threading.Semaphore(0)

    def work(job: str) -> None:
        begun.put(job)
        release.acquire(timeout=SECONDS)

    pool = RequestWorkers(work, 2, "test", plenty())
    for job in "abc":
        pool.add(job, 1.0)
    assert {begun.get(timeout=SECONDS), begun.get(timeout=SECONDS)} == {"a", "b"}
    assert list(pool.waiting) == [("c", 1.0)]
    release.release()
    pool.job_done("a")
    assert begun.get(timeout=SECONDS) == "c"
    release.release(2)
    pool.end()


def test_a_thread_that_left_makes_room_for_another() -> None:
    begun: SimpleQueue[str] = SimpleQueue()
    over = threading.Event()

    def work(job: str) -> object:
        begun.put(job)
        if job == "stream":
            over.wait(SECONDS)
            return LEAVES
        return None

    pool = RequestWorkers(work, 1, "test", plenty())
    pool.add("stream", 0.0)
    assert begun.get(timeout=SECONDS) == "stream"
    pool.add("next", 0.0)
    pool.thread_left("stream")
    assert begun.get(timeout=SECONDS) == "next"
    over.set()
    pool.end()


def test_jobs_wait_if_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    begun: SimpleQueue[str] = SimpleQueue()
    pool = RequestWorkers(begun.put, 2, "test", plenty())
    with monkeypatch.context() as patch:
        patch.setattr(native, "start_thread", refuse)
        pool.add("a", 0.0)
        assert len(pool.waiting) == 1
    pool.add("b", 0.0)
    assert begun.get(timeout=SECONDS) == "a"
    pool.end()
