from __future__ import annotations

import random
import threading

import pytest

from rag_pipeline.common import native
from rag_pipeline.common.lifecycle import Holders, StopSequence, StopStep, launch
from tests.support.interrupts import interrupted
from tests.support.waiting import wait_until


def test_steps_run_in_order_and_once() -> None:
    ran: list[int] = []
    sequence = StopSequence([StopStep(f"step {n}", lambda n=n: ran.append(n), 30) for n in range(3)])  # type: ignore[misc]
    assert not sequence.over
    sequence.run()
    sequence.run()
    assert ran == [0, 1, 2]
    assert sequence.over


def test_a_step_that_raises_or_hangs_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    hang = threading.Event()
    ran: list[str] = []

    def fail() -> None:
        raise RuntimeError("broken")

    sequence = StopSequence(
        [
            StopStep("first", fail, 30),
            StopStep("second", hang.wait, 0.05),
            StopStep("third", lambda: ran.append("x"), 30),
        ]
    )
    sequence.run()
    hang.set()
    assert ran == ["x"]
    assert "broken" in caplog.text
    assert "second did not stop within 0.05 seconds, and is left behind" in caplog.text


def test_steps_run_in_the_calling_thread_if_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> native.NativeThread:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(native, "start_thread", refuse)
    ran: list[int] = []
    StopSequence([StopStep("here", lambda: ran.append(native.get_ident()), 30)]).run()
    assert ran == [native.get_ident()]


def test_launch_returns_the_result_or_raises_the_error() -> None:
    lock = native.allocate_lock()
    assert launch(lambda: 5, _never, one_at_a_time=lock) == 5
    with pytest.raises(ZeroDivisionError):
        launch(lambda: 1 // 0, _never, one_at_a_time=lock)
    assert lock.acquire(timeout=30)


@pytest.mark.slow
@pytest.mark.usefixtures("bare_hooks")
def test_an_interrupted_launch_is_undone() -> None:
    rng = random.Random(3)
    lock = native.allocate_lock()
    alive: set[int] = set()

    def make(number: int) -> int:
        native.Future().wait(0.001)  # a start takes some time
        alive.add(number)
        return number

    def keep(number: int) -> None:
        launch(lambda: make(number), alive.discard, one_at_a_time=lock)
        done.add(number)

    done: set[int] = set()
    hits = sum(interrupted(lambda n=n: keep(n), rng, within_seconds=0.001, times=2) for n in range(300))  # type: ignore[misc]
    assert hits > 3
    wait_until(lambda: not lock.locked())
    # A caller that was interrupted after launch() had returned holds the result.
    assert len(alive - done) <= hits
    assert done <= alive


@pytest.mark.parametrize(
    ("calls", "depth", "last"),
    [(1, 1, True), (2, 2, True), (1, 2, True), (2, 1, False), (3, 2, False), (0, 1, True)],
)
def test_the_outermost_block_is_the_last_holder_unless_a_call_has_no_block(calls: int, depth: int, last: bool) -> None:
    holders = Holders()
    for _ in range(calls):
        holders.take()
    for _ in range(depth):
        holders.enter()
    assert [holders.exit() for _ in range(depth)] == [False] * (depth - 1) + [last]


def test_give_back_tells_the_last_call() -> None:
    holders = Holders()
    holders.take()
    holders.take()
    assert [holders.give_back(), holders.give_back()] == [False, True]


def _never(_value: object) -> None:
    raise AssertionError("nothing is to be undone")
