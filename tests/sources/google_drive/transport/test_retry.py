"""Trying again: how often, how long, together, and not once stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from rag_pipeline.ingest.types import Stopped
from rag_pipeline.sources.google_drive.errors import DriveUnavailableError
from rag_pipeline.sources.google_drive.transport.retry import RateGate, RetryLoop, RetryPolicy, TryAgain
from tests.sources.google_drive.asking import never
from tests.support.waiting import wait_until

QUICK = RetryPolicy(attempts=4, base_seconds=0.001, cap_seconds=0.002, later_seconds=5)


class Scripted:
    """An attempt that fails as it is told and then succeeds; ``pauses`` are the waits in between."""

    def __init__(self, *failures: TryAgain) -> None:
        self.failures = list(failures)
        self.made = 0

    def __call__(self) -> str:
        self.made += 1
        if self.failures:
            raise self.failures.pop(0)
        return "done"


class RecordedPace(RateGate):
    """A pace that notes its waits instead of making them; time then has gone on, unless it stands still."""

    def __init__(self) -> None:
        super().__init__(threading.Event())
        self.waits: list[float] = []
        self.stands_still = False

    def sleep(self, seconds: float, check: Callable[[], None]) -> None:
        self.waits.append(seconds)
        if not self.stands_still:
            with self._lock:
                self._not_before = 0.0


def retries(policy: RetryPolicy = QUICK, pace: RateGate | None = None) -> RetryLoop:
    return RetryLoop(policy, pace or RateGate(threading.Event()), "a.txt", never)


def test_what_passes_is_tried_again_until_it_succeeds() -> None:
    attempt = Scripted(TryAgain("answered 503"), TryAgain("broke off"))
    assert retries().run(attempt) == "done"
    assert attempt.made == 3


def test_after_the_last_attempt_the_failure_says_what_why_and_how_often() -> None:
    attempt = Scripted(*[TryAgain("answered 503", server_failed=True)] * 9)
    with pytest.raises(DriveUnavailableError, match=r"^a.txt: answered 503, 4 times$") as raised:
        retries().run(attempt)
    assert attempt.made == 4
    assert raised.value.retry_seconds == 5
    assert raised.value.server_failed


def test_failures_of_drive_s_own_have_a_bound_of_their_own() -> None:
    policy = replace(QUICK, attempts=9, server_attempts=3)
    assert retries(policy).run(Scripted(*[TryAgain("too many", slow_down=True)] * 8)) == "done"
    attempt = Scripted(*[TryAgain("answered 500", server_failed=True)] * 9)
    with pytest.raises(DriveUnavailableError):
        retries(policy).run(attempt)
    assert attempt.made == 3


def test_the_waits_grow_up_to_the_cap_and_are_spread() -> None:
    pace = RecordedPace()
    policy = RetryPolicy(attempts=9, base_seconds=1, cap_seconds=8, total_seconds=10_000)
    for _ in range(40):
        with pytest.raises(DriveUnavailableError):
            retries(policy, pace).run(Scripted(*[TryAgain("x")] * 9))
    by_number = [pace.waits[number::8] for number in range(8)]
    for number, waits in enumerate(by_number):
        assert max(waits) <= min(8, 2**number)
        assert len(set(waits)) > 1
    assert max(by_number[6]) > max(by_number[0])


def test_a_wait_that_drive_asks_for_is_kept_in_seconds_and_as_a_date() -> None:
    pace = RecordedPace()
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    retries(pace=pace).run(Scripted(TryAgain("x", retry_after="5"), TryAgain("x", retry_after=date)))
    assert 5 <= pace.waits[0] <= 6.1
    assert any(50 <= wait <= 62 for wait in pace.waits)


def test_a_wait_is_bounded_whatever_is_asked_for_and_the_rest_is_left_to_later() -> None:
    pace = RecordedPace()
    with pytest.raises(DriveUnavailableError) as raised:
        retries(replace(QUICK, total_seconds=30), pace).run(Scripted(TryAgain("x", retry_after="86400")))
    assert raised.value.retry_seconds == 120


def test_no_wait_is_begun_that_would_end_after_the_whole_time() -> None:
    attempt = Scripted(*[TryAgain("x", retry_after="3")] * 9)
    pace = RecordedPace()
    with pytest.raises(DriveUnavailableError, match="once"):
        retries(replace(QUICK, total_seconds=2), pace).run(attempt)
    assert attempt.made == 1


def test_progress_gives_all_attempts_again() -> None:
    tries = retries()
    for _ in range(20):
        tries.wait_after(TryAgain("broke off"))
        tries.reset()
    for _ in range(3):
        tries.wait_after(TryAgain("broke off"))
    with pytest.raises(DriveUnavailableError):
        tries.wait_after(TryAgain("broke off"))


def test_what_seldom_passes_has_all_attempts_and_ends_with_its_own_error() -> None:
    attempt = Scripted(*[TryAgain("answered 401", final=ZeroDivisionError("mine"))] * 9)
    with pytest.raises(ZeroDivisionError, match="mine"):
        retries(replace(QUICK, attempts=9)).run(attempt)
    assert attempt.made == 9


def test_a_stop_ends_a_wait_at_once_and_lets_nothing_begin() -> None:
    stop = threading.Event()
    tries = RetryLoop(
        replace(QUICK, base_seconds=1000, cap_seconds=1000, total_seconds=10_000), RateGate(stop), "a.txt", never
    )
    ended: list[BaseException] = []
    attempt = Scripted(TryAgain("x", retry_after="100"))
    thread = in_thread(lambda: tries.run(attempt), ended)
    wait_until(lambda: attempt.made == 1)
    stop.set()
    thread.join(30)
    assert [type(error) for error in ended] == [Stopped]
    with pytest.raises(Stopped):
        tries.run(attempt)
    assert attempt.made == 1


def test_when_one_is_told_to_slow_down_all_wait_and_not_to_the_same_moment() -> None:
    waits = []
    for _ in range(5):
        pace = RecordedPace()
        pace.stands_still = True
        RetryLoop(replace(QUICK, total_seconds=1000), pace, "a", never).wait_after(
            TryAgain("x", retry_after="60", slow_down=True)
        )
        pace.stands_still = False
        assert RetryLoop(QUICK, pace, "b", never).run(Scripted()) == "done"
        waits.append(pace.waits[1])
    assert all(50 < wait < 63 for wait in waits)
    assert len(set(waits)) > 1


def test_a_failure_that_is_one_s_own_slows_nobody_else_down() -> None:
    for failure in (TryAgain("broke off"), TryAgain("answered 503", retry_after="100", server_failed=True)):
        pace = RecordedPace()
        pace.stands_still = True
        RetryLoop(replace(QUICK, base_seconds=50, cap_seconds=50), pace, "a", never).wait_after(failure)
        assert pace._not_before == 0.0


def test_a_wait_is_given_up_once_the_one_who_waits_is_told_to() -> None:
    """A pause gives up a look under way, however long Drive has asked to be left alone."""
    policy = replace(QUICK, base_seconds=1000, cap_seconds=1000, total_seconds=10_000)
    alone = RetryLoop(policy, RateGate(threading.Event()), "a", raising_at(2))
    with pytest.raises(Stopped):
        alone.run(Scripted(TryAgain("answered 503", retry_after="100", server_failed=True)))
    shared = RateGate(threading.Event())
    shared.slow_down(100)
    with pytest.raises(Stopped):
        RetryLoop(policy, shared, "b", raising_at(2)).run(Scripted())


def raising_at(number: int) -> Callable[[], None]:
    """Return a check that raises Stopped the time it is called for the ``number``-th time."""
    left = [number]

    def check() -> None:
        left[0] -= 1
        if left[0] == 0:
            raise Stopped

    return check


def in_thread(work: Callable[[], object], ended: list[BaseException]) -> threading.Thread:
    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            ended.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread
