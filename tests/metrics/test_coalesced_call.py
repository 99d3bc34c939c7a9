"""Calls to a thread that may be slow, stuck or flooded."""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from rag_pipeline.metrics import coalesced_call
from rag_pipeline.metrics.coalesced_call import CoalescedCall
from tests.socket_server.support import in_threads


class Worker:
    """A thread that runs posted functions in order."""

    def __init__(self) -> None:
        self.posted: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while (function := self.posted.get()) is not None:
            function()


@contextmanager
def working() -> Iterator[Worker]:
    worker = Worker()
    try:
        yield worker
    finally:
        worker.posted.put(None)
        worker.thread.join(60)


def until(event: threading.Event) -> Callable[[], None]:
    def wait() -> None:
        event.wait(60)

    return wait


def test_the_call_runs_on_the_other_thread() -> None:
    with working() as worker:
        assert CoalescedCall(worker.posted.put, threading.get_ident).result() == worker.thread.ident


def test_simultaneous_callers_share_a_call() -> None:
    numbers = itertools.count()
    answers: list[int | None] = []
    with working() as worker:
        release = threading.Event()
        worker.posted.put(until(release))
        asked = CoalescedCall(worker.posted.put, lambda: next(numbers))

        def ask(number: int) -> None:
            if number == 0:
                release.set()
            answers.append(asked.result())

        in_threads(8, ask)
    assert set(answers) <= {0, 1}, "one more at most, if the threads were slow to come"


def test_a_stuck_thread_is_called_once_and_each_wait_is_bounded() -> None:
    release = threading.Event()
    posted: list[Callable[[], None]] = []
    with working() as worker:
        worker.posted.put(until(release))

        def post(function: Callable[[], None]) -> None:
            posted.append(function)
            worker.posted.put(function)

        asked = CoalescedCall(post, lambda: "here", timeout_seconds=0.05)
        assert [asked.result() for _ in range(3)] == [None, None, None]
        assert len(posted) == 1
        release.set()
        patient = CoalescedCall(post, lambda: "here")
        assert patient.result() == "here"
        assert asked.result() == "here", "the first call has its result by now"


def test_a_lost_call_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coalesced_call, "LOST_SECONDS", 0.0)
    posts: list[Callable[[], None]] = []

    def lossy(function: Callable[[], None]) -> None:
        posts.append(function)
        if len(posts) > 1:
            function()

    asked = CoalescedCall(lossy, lambda: 7, timeout_seconds=0.01)
    assert [asked.result(), asked.result()] == [None, 7]
