"""Retries: number, delays, shared rate limit, and stop."""

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
from tests.sources.google_drive.support import no_check
from tests.support.waiting import wait_until

QUICK = RetryPolicy(attempts=4, base_seconds=0.001, cap_seconds=0.002, later_seconds=5)


class Scripted:
    """An attempt that fails as scripted and then succeeds."""

    def __init__(self, *failures: TryAgain) -> None:
        self.failures = list(failures)
        self.made = 0

    def __call__(self) -> str:
        self.made += 1
        if self.failures:
            raise self.failures.pop(0)
        return "done"


class RecordingGate(RateGate):
    """A gate that records its waits instead of sleeping; it then opens, unless ``stands_still``."""

    def __init__(self) -> None:
        super().__init__(threading.Event())
        self.waits: list[float] = []
        self.stands_still = False

    def sleep(self, seconds: float, check: Callable[[], None]) -> None:
        self.waits.append(seconds)
        if not self.stands_still:
            with self._lock:
                self._not_before = 0.0


def retry_loop(policy: RetryPolicy = QUICK, gate: RateGate | None = None) -> RetryLoop:
    return RetryLoop(policy, gate or RateGate(threading.Event()), "a.txt", no_check)


def test_a_temporary_failure_is_retried_until_success() -> None:
    attempt = Scripted(TryAgain("answered 503"), TryAgain("broke off"))
    assert retry_loop().run(attempt) == "done"
    assert attempt.made == 3


def test_the_final_error_names_subject_reason_and_attempts() -> None:
    attempt = Scripted(*[TryAgain("answered 503", server_failed=True)] * 9)
    with pytest.raises(DriveUnavailableError, match=r"^a.txt: answered 503, 4 times$") as raised:
        retry_loop().run(attempt)
    assert attempt.made == 4
    assert raised.value.retry_seconds == 5
    assert raised.value.server_failed


def test_server_failures_have_their_own_limit() -> None:
    policy = replace(QUICK, attempts=9, server_attempts=3)
    assert retry_loop(policy).run(Scripted(*[TryAgain("too many", slow_down=True)] * 8)) == "done"
    attempt = Scripted(*[TryAgain("answered 500", server_failed=True)] * 9)
    with pytest.raises(DriveUnavailableError):
        retry_loop(policy).run(attempt)
    assert attempt.made == 3


def test_the_delays_grow_to_the_cap_with_jitter() -> None:
    gate = RecordingGate()
    policy = RetryPolicy(attempts=9, base_seconds=1, cap_seconds=8, total_seconds=10_000)
    for _ in range(40):
        with pytest.raises(DriveUnavailableError):
            retry_loop(policy, gate).run(Scripted(*[TryAgain("x")] * 9))
    by_number = [gate.waits[number::8] for number in range(8)]
    for number, waits in enumerate(by_number):
        assert max(waits) <= min(8, 2**number)
        assert len(set(waits)) > 1
    assert max(by_number[6]) > max(by_number[0])


def test_retry_after_is_respected_as_seconds_and_as_a_date() -> None:
    gate = RecordingGate()
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    retry_loop(gate=gate).run(Scripted(TryAgain("x", retry_after="5"), TryAgain("x", retry_after=date)))
    assert 5 <= gate.waits[0] <= 6.1
    assert any(50 <= wait <= 62 for wait in gate.waits)


def test_a_long_retry_after_is_capped() -> None:
    gate = RecordingGate()
    with pytest.raises(DriveUnavailableError) as raised:
        retry_loop(replace(QUICK, total_seconds=30), gate).run(Scripted(TryAgain("x", retry_after="86400")))
    assert raised.value.retry_seconds == 120


def test_no_wait_starts_that_would_exceed_the_total_time() -> None:
    attempt = Scripted(*[TryAgain("x", retry_after="3")] * 9)
    gate = RecordingGate()
    with pytest.raises(DriveUnavailableError, match="once"):
        retry_loop(replace(QUICK, total_seconds=2), gate).run(attempt)
    assert attempt.made == 1


def test_progress_resets_the_attempts() -> None:
    loop = retry_loop()
    for _ in range(20):
        loop.wait_after(TryAgain("broke off"))
        loop.reset()
    for _ in range(3):
        loop.wait_after(TryAgain("broke off"))
    with pytest.raises(DriveUnavailableError):
        loop.wait_after(TryAgain("broke off"))


def test_a_failure_with_its_own_final_error_has_all_attempts() -> None:
    attempt = Scripted(*[TryAgain("answered 401", final=ZeroDivisionError("mine"))] * 9)
    with pytest.raises(ZeroDivisionError, match="mine"):
        retry_loop(replace(QUICK, attempts=9)).run(attempt)
    assert attempt.made == 9


def test_a_stop_ends_a_wait_at_once_and_prevents_new_attempts() -> None:
    stop = threading.Event()
    loop = RetryLoop(
        replace(QUICK, base_seconds=1000, cap_seconds=1000, total_seconds=10_000), RateGate(stop), "a.txt", no_check
    )
    ended: list[BaseException] = []
    attempt = Scripted(TryAgain("x", retry_after="100"))
    thread = in_thread(lambda: loop.run(attempt), ended)
    wait_until(lambda: attempt.made == 1)
    stop.set()
    thread.join(30)
    assert [type(error) for error in ended] == [Stopped]
    with pytest.raises(Stopped):
        loop.run(attempt)
    assert attempt.made == 1


def test_a_rate_limit_makes_all_threads_wait_for_different_times() -> None:
    waits = []
    for _ in range(5):
        gate = RecordingGate()
        gate.stands_still = True
        RetryLoop(replace(QUICK, total_seconds=1000), gate, "a", no_check).wait_after(
            TryAgain("x", retry_after="60", slow_down=True)
        )
        gate.stands_still = False
        assert RetryLoop(QUICK, gate, "b", no_check).run(Scripted()) == "done"
        waits.append(gate.waits[1])
    assert all(50 < wait < 63 for wait in waits)
    assert len(set(waits)) > 1


def test_other_failures_do_not_slow_down_other_threads() -> None:
    for failure in (TryAgain("broke off"), TryAgain("answered 503", retry_after="100", server_failed=True)):
        gate = RecordingGate()
        gate.stands_still = True
        RetryLoop(replace(QUICK, base_seconds=50, cap_seconds=50), gate, "a", no_check).wait_after(failure)
        assert gate._not_before == 0.0


@pytest.mark.slow
def test_a_check_ends_a_wait() -> None:
    """A pause ends a running scan, however long the Retry-After of Drive is."""
    policy = replace(QUICK, base_seconds=1000, cap_seconds=1000, total_seconds=10_000)
    alone = RetryLoop(policy, RateGate(threading.Event()), "a", raising_at(2))
    with pytest.raises(Stopped):
        alone.run(Scripted(TryAgain("answered 503", retry_after="100", server_failed=True)))
    shared = RateGate(threading.Event())
    shared.slow_down(100)
    with pytest.raises(Stopped):
        RetryLoop(policy, shared, "b", raising_at(2)).run(Scripted())


def raising_at(number: int) -> Callable[[], None]:
    """Return a check whose ``number``-th call raises Stopped."""
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
