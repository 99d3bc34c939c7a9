"""The pool of threads."""

from __future__ import annotations

import threading

# The C class behind queue.SimpleQueue, as in the module.
from _queue import SimpleQueue

import pytest

from rag_pipeline import native
from rag_pipeline.http_server.workers import LEAVES, WorkerPool

SECONDS = 30.0


def test_no_more_jobs_run_than_there_may_be_threads() -> None:
    begun: SimpleQueue[str] = SimpleQueue()
    release = threading.Semaphore(0)

    def work(job: str) -> None:
        begun.put(job)
        release.acquire(timeout=SECONDS)

    pool = WorkerPool(work, 2, "test")
    for job in "abc":
        pool.give(job, 1.0)
    assert {begun.get(timeout=SECONDS), begun.get(timeout=SECONDS)} == {"a", "b"}
    assert list(pool.waiting) == [("c", 1.0)]
    release.release()
    pool.free_one()
    assert begun.get(timeout=SECONDS) == "c"
    release.release(2)
    pool.end()


def test_a_thread_that_has_left_makes_room_for_another() -> None:
    begun: SimpleQueue[str] = SimpleQueue()
    over = threading.Event()

    def work(job: str) -> object:
        begun.put(job)
        if job == "stream":
            over.wait(SECONDS)
            return LEAVES
        return None

    pool = WorkerPool(work, 1, "test")
    pool.give("stream", 0.0)
    assert begun.get(timeout=SECONDS) == "stream"
    pool.give("next", 0.0)
    pool.leave_one()
    assert begun.get(timeout=SECONDS) == "next"
    over.set()
    pool.end()


def test_where_no_thread_can_be_started_jobs_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    begun: SimpleQueue[str] = SimpleQueue()
    pool = WorkerPool(begun.put, 2, "test")
    with monkeypatch.context() as patch:
        patch.setattr(native, "start_thread", refuse)
        pool.give("a", 0.0)
        assert len(pool.waiting) == 1
    pool.give("b", 0.0)
    assert begun.get(timeout=SECONDS) == "a"
    pool.end()
