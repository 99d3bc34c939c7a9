from __future__ import annotations

import threading

from rag_pipeline.pipelines.crew import Crew
from tests.watching import wait_until


def test_jobs_are_done_in_order_and_each_end_is_told() -> None:
    done: list[str] = []
    told = threading.Semaphore(0)
    crew: Crew[int] = Crew(lambda key, _: done.append(key), threads=1, name="t", on_change=told.release)
    crew.replace(lambda _: {"c": 1, "a": 2, "b": 3})
    wait_until(lambda: crew.idle)
    assert done == ["c", "a", "b"]
    assert all(told.acquire(timeout=5) for _ in done)
    assert crew.close(5)


def test_a_new_plan_replaces_what_is_not_begun_and_leaves_alone_what_is() -> None:
    begun, go = threading.Event(), threading.Event()
    done: list[tuple[str, int]] = []

    def work(key: str, job: int) -> None:
        begun.set()
        go.wait(10)
        done.append((key, job))

    crew: Crew[int] = Crew(work, threads=1, name="t", on_change=lambda: None)
    crew.replace(lambda _: {"a": 1, "b": 1})
    assert begun.wait(10)
    seen: list[frozenset[str]] = []

    def make(busy: frozenset[str]) -> dict[str, int]:
        seen.append(busy)
        return {"a": 2, "c": 2}

    crew.replace(make)
    assert (seen, crew.pending, crew.busy) == ([frozenset("a")], 1, 1)
    go.set()
    wait_until(lambda: crew.idle)
    assert done == [("a", 1), ("c", 2)]
    assert crew.close(5)


def test_what_a_job_raises_ends_the_crew_and_is_kept() -> None:
    def work(key: str, _: int) -> None:
        raise KeyError(key)

    crew: Crew[int] = Crew(work, threads=2, name="t", on_change=lambda: None)
    crew.replace(lambda _: {"a": 1})
    wait_until(lambda: crew.failure is not None)
    assert isinstance(crew.failure, KeyError)
    assert crew.close(5)


def test_close_is_bounded_and_says_when_a_job_did_not_end() -> None:
    go = threading.Event()

    def work(_key: str, _job: int) -> None:
        go.wait(10)

    crew: Crew[int] = Crew(work, threads=1, name="t", on_change=lambda: None)
    crew.replace(lambda _: {"a": 1, "b": 1})
    wait_until(lambda: crew.busy == 1)
    assert not crew.close(0.01)
    assert crew.pending == 0
    go.set()
    assert crew.close(10)
