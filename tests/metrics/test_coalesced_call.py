"""Questions to a thread that may be slow, stuck or flooded."""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from rag_pipeline.metrics import coalesced_call
from rag_pipeline.metrics.coalesced_call import Question
from tests.socket_server.support import in_threads


class Worker:
    """A thread that does what is posted, in order."""

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


def test_it_is_answered_on_the_thread_that_owns_the_answer() -> None:
    with working() as worker:
        assert Question(worker.posted.put, threading.get_ident).ask() == worker.thread.ident


def test_many_who_ask_at_once_ask_once() -> None:
    numbers = itertools.count()
    answers: list[int | None] = []
    with working() as worker:
        release = threading.Event()
        worker.posted.put(until(release))
        asked = Question(worker.posted.put, lambda: next(numbers))

        def ask(number: int) -> None:
            if number == 0:
                release.set()
            answers.append(asked.ask())

        in_threads(8, ask)
    assert set(answers) <= {0, 1}, "one more at most, if the threads were slow to come"


def test_a_stuck_thread_costs_a_bounded_time_and_is_asked_once_until_it_is_back() -> None:
    release = threading.Event()
    posted: list[Callable[[], None]] = []
    with working() as worker:
        worker.posted.put(until(release))

        def post(function: Callable[[], None]) -> None:
            posted.append(function)
            worker.posted.put(function)

        asked = Question(post, lambda: "here", timeout_seconds=0.05)
        assert [asked.ask() for _ in range(3)] == [None, None, None]
        assert len(posted) == 1
        release.set()
        patient = Question(post, lambda: "here")
        assert patient.ask() == "here"
        assert asked.ask() == "here", "the first question has its answer by now"


def test_a_question_that_got_lost_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coalesced_call, "PATIENCE_SECONDS", 0.0)
    posts: list[Callable[[], None]] = []

    def lossy(function: Callable[[], None]) -> None:
        posts.append(function)
        if len(posts) > 1:
            function()

    asked = Question(lossy, lambda: 7, timeout_seconds=0.01)
    assert [asked.ask(), asked.ask()] == [None, 7]
