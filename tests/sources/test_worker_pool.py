from __future__ import annotations

import threading

from rag_pipeline.sources.worker_pool import WorkerPool
from tests.support.waiting import wait_until


def test_jobs_run_in_order_and_each_end_is_reported() -> None:
    done: list[str] = []
    told = threading.Semaphore(0)
    pool: WorkerPool[int] = WorkerPool(lambda key, _: done.append(key), threads=1, name="t", on_change=told.release)
    pool.replace_pending(lambda _: {"c": 1, "a": 2, "b": 3})
    wait_until(lambda: pool.idle)
    assert done == ["c", "a", "b"]
    assert all(told.acquire(timeout=60) for _ in done)
    assert pool.close(5)


def test_replacing_the_pending_jobs_leaves_running_ones_alone() -> None:
    begun, go = threading.Event(), threading.Event()
    done: list[tuple[str, int]] = []

    def work(key: str, job: int) -> None:
        begun.set()
        go.wait(60)
        done.append((key, job))

    pool: WorkerPool[int] = WorkerPool(work, threads=1, name="t", on_change=lambda: None)
    pool.replace_pending(lambda _: {"a": 1, "b": 1})
    assert begun.wait(60)
    seen: list[frozenset[str]] = []

    def make(busy: frozenset[str]) -> dict[str, int]:
        seen.append(busy)
        return {"a": 2, "c": 2}

    pool.replace_pending(make)
    assert (seen, pool.pending, pool.busy) == ([frozenset("a")], 1, 1)
    go.set()
    wait_until(lambda: pool.idle)
    assert done == [("a", 1), ("c", 2)]
    assert pool.close(5)


def test_an_error_of_a_job_ends_the_pool_and_is_kept() -> None:
    def work(key: str, _: int) -> None:
        raise KeyError(key)

    pool: WorkerPool[int] = WorkerPool(work, threads=2, name="t", on_change=lambda: None)
    pool.replace_pending(lambda _: {"a": 1})
    wait_until(lambda: pool.failure is not None)
    assert isinstance(pool.failure, KeyError)
    assert pool.close(5)


def test_close_is_bounded_and_returns_whether_all_jobs_ended() -> None:
    go = threading.Event()

    def work(_key: str, _job: int) -> None:
        go.wait(60)

    pool: WorkerPool[int] = WorkerPool(work, threads=1, name="t", on_change=lambda: None)
    pool.replace_pending(lambda _: {"a": 1, "b": 1})
    wait_until(lambda: pool.busy == 1)
    assert not pool.close(0.01)
    assert pool.pending == 0
    go.set()
    assert pool.close(10)


class Stalled:
    """A pool of one thread whose first job runs until ``go`` is set."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        self.done: list[tuple[str, int]] = []
        self.held = False
        self.again: set[tuple[str, int]] = set()
        self.pool: WorkerPool[int] = WorkerPool(
            self._work,
            threads=1,
            name="t",
            on_change=lambda: None,
            is_held=lambda: self.held,
            is_counted=lambda job: job > 0,
        )

    def _work(self, key: str, job: int) -> bool:
        self.begun.set()
        self.go.wait(60)
        self.done.append((key, job))
        if (key, job) in self.again:
            self.again.discard((key, job))
            return True
        return False

    def begin(self, **jobs: int) -> None:
        self.pool.replace_pending(lambda _: jobs)
        assert self.begun.wait(60)

    def end(self) -> list[tuple[str, int]]:
        self.go.set()
        wait_until(lambda: self.pool.idle)
        assert self.pool.close(10)
        return self.done


def test_a_prioritized_job_runs_next_and_a_running_one_is_not_started_again() -> None:
    stalled = Stalled()
    stalled.begin(a=1, b=1, c=1)
    stalled.pool.prioritize("c", 2)
    stalled.pool.prioritize("a", 2)
    assert (stalled.pool.pending, stalled.pool.queued) == (2, 2)
    assert stalled.end() == [("a", 1), ("c", 2), ("b", 1)]


def test_a_cancelled_pending_job_runs_last() -> None:
    stalled = Stalled()
    stalled.begin(a=1, b=1, c=1)
    assert stalled.pool.cancel("b")
    assert not stalled.pool.cancel("x")
    assert not stalled.pool.is_cancelled("b")
    assert stalled.end() == [("a", 1), ("c", 1), ("b", 1)]


def test_a_cancelled_running_job_can_be_put_back_behind_all_others() -> None:
    stalled = Stalled()
    stalled.begin(a=1, b=1)
    assert stalled.pool.cancel("a")
    assert (stalled.pool.is_cancelled("a"), stalled.pool.is_busy("a"), stalled.pool.has("a")) == (True, True, True)
    stalled.again.add(("a", 1))
    assert stalled.end() == [("a", 1), ("b", 1), ("a", 1)]
    assert not stalled.pool.is_cancelled("a")
    assert not stalled.pool.has("a")


def test_no_job_starts_while_jobs_are_held() -> None:
    stalled = Stalled()
    stalled.begin(a=1, b=1)
    stalled.held = True
    stalled.go.set()
    wait_until(lambda: stalled.pool.busy == 0)
    stalled.pool.wake()
    assert (stalled.done, stalled.pool.pending) == ([("a", 1)], 1)
    stalled.held = False
    stalled.pool.wake()
    assert stalled.end() == [("a", 1), ("b", 1)]


def test_a_pool_can_be_closed_while_jobs_are_held() -> None:
    stalled = Stalled()
    stalled.held = True
    stalled.pool.replace_pending(lambda _: {"a": 1})
    assert stalled.pool.close(10)
    assert stalled.done == []


def test_queued_counts_only_the_jobs_that_count() -> None:
    stalled = Stalled()
    stalled.begin(a=1, b=0, c=1, d=0, e=1)
    assert (stalled.pool.pending, stalled.pool.queued) == (4, 2)
    stalled.pool.prioritize("b", 1)
    stalled.pool.prioritize("x", 0)
    assert (stalled.pool.pending, stalled.pool.queued) == (5, 3)
    stalled.end()
    assert (stalled.pool.pending, stalled.pool.queued) == (0, 0)


# -- for a worker -----------------------------------------------------------------------------


def without_threads(**jobs: int) -> WorkerPool[int]:
    pool: WorkerPool[int] = WorkerPool(
        lambda *_: None, threads=0, name="t", on_change=lambda: None, is_held=lambda: False
    )
    pool.replace_pending(lambda _: jobs)
    return pool


def test_a_worker_takes_further_jobs_in_order_while_they_are_accepted() -> None:
    pool = without_threads(a=1, b=1, c=2)
    assert pool.take_next(lambda job: job == 1) == ("a", 1)
    assert pool.take_next(lambda job: job == 1) == ("b", 1)
    assert pool.take_next(lambda job: job == 1) is None
    assert (pool.busy, pool.pending, pool.queued) == (2, 1, 1)
    pool.release("a")
    pool.release("b", put_back=3)
    assert (pool.busy, pool.pending, pool.queued) == (0, 2, 2)
    assert [pool.take_next(lambda _: True), pool.take_next(lambda _: True)] == [("c", 2), ("b", 3)]


def test_a_worker_takes_no_further_job_while_jobs_are_held_or_after_closing() -> None:
    stalled = Stalled()
    stalled.begin(a=1, b=1)
    stalled.held = True
    assert stalled.pool.take_next(lambda _: True) is None
    stalled.held = False
    assert not stalled.pool.close(0.01)
    assert stalled.pool.take_next(lambda _: True) is None
    stalled.go.set()
    assert stalled.pool.close(10)


def test_a_reserved_key_does_not_start_and_its_pending_job_is_dropped() -> None:
    pool = without_threads(a=1, b=1)
    assert pool.reserve("a")
    assert not pool.reserve("a")
    assert (pool.pending, pool.queued, pool.is_busy("a")) == (1, 1, True)
    seen: list[frozenset[str]] = []

    def make(busy: frozenset[str]) -> dict[str, int]:
        seen.append(busy)
        return {"a": 2}

    pool.replace_pending(make)
    assert (seen, pool.pending) == ([frozenset("a")], 0)
    pool.release("a")
    assert pool.idle


def test_a_deferred_job_runs_next_when_the_other_has_ended() -> None:
    pool = without_threads(a=1, b=1, c=1)
    assert not pool.defer("b", 2, until="a")  # it is not running
    for _ in range(2):
        pool.take_next(lambda _: True)
    assert pool.defer("b", 2, until="a")
    pool.release("b")
    assert (pool.busy, pool.pending, pool.queued, pool.idle, pool.has("b")) == (1, 1, 2, False, True)
    assert pool.cancel("b")
    pool.prioritize("b", 9)  # it runs in its turn
    pool.replace_pending(lambda busy: {key: 1 for key in "bc" if key not in busy})
    assert (pool.pending, pool.queued) == (1, 2)
    pool.release("a")
    assert (pool.take_next(lambda _: True), pool.queued) == (("b", 2), 1)


def test_a_job_that_is_deferred_late_runs_next_all_the_same() -> None:
    pool = without_threads(a=1, b=1)
    for _ in range(2):
        pool.take_next(lambda _: True)
    assert pool.defer("b", 2, until="a")
    pool.release("a")
    assert pool.pending == 0  # its worker still has it
    pool.release("b")
    assert pool.take_next(lambda _: True) == ("b", 2)


def test_closing_drops_deferred_jobs() -> None:
    pool = without_threads(a=1, b=1)
    for _ in range(2):
        pool.take_next(lambda _: True)
    pool.defer("b", 2, until="a")
    assert pool.close(1)
    pool.release("b")
    pool.release("a")
    assert pool.idle


def test_one_exclusive_job_runs_at_a_time() -> None:
    go = {key: threading.Event() for key in ("slow1", "slow2")}
    done: list[str] = []

    def work(key: str, _: int) -> None:
        if key in go:
            go[key].wait(60)
        done.append(key)

    pool: WorkerPool[int] = WorkerPool(
        work, threads=2, name="t", on_change=lambda: None, is_exclusive=lambda job: job == 1
    )
    pool.replace_pending(lambda _: {"slow1": 1, "slow2": 1, "a": 0, "b": 0})
    wait_until(lambda: done == ["a", "b"])
    assert (pool.is_busy("slow1"), pool.is_busy("slow2"), pool.pending) == (True, False, 1)
    go["slow1"].set()
    wait_until(lambda: pool.is_busy("slow2"))
    pool.prioritize("c", 0)
    wait_until(lambda: done == ["a", "b", "slow1", "c"])
    go["slow2"].set()
    wait_until(lambda: pool.idle)
    assert pool.close(5)


def test_is_held_is_called_only_for_jobs_that_can_start() -> None:
    """A circuit breaker lets one trial through per call."""
    go = threading.Event()
    asked: list[int] = []

    def held() -> bool:
        asked.append(1)
        return False

    pool: WorkerPool[int] = WorkerPool(
        lambda *_: go.wait(60) and None,
        threads=2,
        name="t",
        on_change=lambda: None,
        is_held=held,
        is_exclusive=lambda _: True,
    )
    pool.replace_pending(lambda _: {"a": 1, "b": 1})
    wait_until(lambda: pool.busy == 1)
    pool.wake()
    go.set()
    wait_until(lambda: pool.idle)
    assert len(asked) == 2
    assert pool.close(5)
