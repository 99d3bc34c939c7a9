"""Files per minute, compared with a plain count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.status.throughput import FEW, MIN_FILES, MIN_SPAN_SECONDS, WINDOW_SECONDS, Throughput


class Worker:
    """Process one file after the other."""

    def __init__(self, start: float = 1000.0) -> None:
        self.rate = Throughput()
        self.now = start

    def work(self, count: int, seconds: float) -> None:
        for _ in range(count):
            self.rate.started(self.now)
            self.now += seconds
            self.rate.ended(self.now, 0, worked=True)

    def per_minute(self, later: float = 0.0) -> float | None:
        return self.rate.per_minute(self.now + later)


def test_the_rate_is_none_until_enough_files_are_done() -> None:
    worker = Worker()
    assert worker.per_minute() is None
    worker.work(MIN_FILES - 1, 10.0)
    assert worker.per_minute() is None
    worker.work(1, 10.0)
    assert worker.per_minute() == 6.0


def test_the_rate_is_none_until_enough_time_has_passed() -> None:
    worker = Worker()
    worker.work(100, MIN_SPAN_SECONDS / 200)
    assert worker.per_minute() is None
    worker.work(100, MIN_SPAN_SECONDS / 100)
    assert worker.per_minute() is not None


def test_the_rate_is_over_the_time_since_work_began() -> None:
    worker = Worker()
    worker.work(60, 1.0)
    assert worker.per_minute() == 60.0


def test_a_slow_pipeline_is_measured_over_its_last_files() -> None:
    worker = Worker()
    worker.work(FEW + 5, 200.0)
    assert worker.per_minute() == pytest.approx(0.3, rel=0.05)


def test_skipped_files_do_not_count() -> None:
    worker = Worker()
    worker.work(20, 1.0)
    for _ in range(1000):
        worker.rate.ended(worker.now, 0, worked=False)
    assert worker.per_minute() == 60.0


def test_the_rate_stays_while_the_pipeline_is_idle_and_is_0_after_the_window() -> None:
    worker = Worker()
    worker.work(20, 1.0)
    assert [worker.per_minute(later) for later in (0, 30, 200)] == [60.0] * 3
    assert worker.per_minute(2 * WINDOW_SECONDS) == 0.0


def test_idle_time_does_not_count() -> None:
    worker = Worker()
    for _ in range(10):
        worker.work(1, 2.0)
        worker.now += 50
    assert worker.per_minute() == 30.0


def test_files_that_were_never_started_have_a_rate_too() -> None:
    rate, now = Throughput(), 1000.0
    for _ in range(21):
        rate.ended(now, 0, worked=True)
        now += 1.0
    assert rate.per_minute(now - 1.0) == pytest.approx(60, rel=0.1)


def test_the_rate_after_a_long_pause_ignores_the_pause() -> None:
    worker = Worker()
    worker.work(20, 1.0)
    worker.now += 10 * WINDOW_SECONDS
    worker.work(10, 2.0)
    assert worker.per_minute() == 30.0


def test_time_does_not_count_while_the_pipeline_is_halted() -> None:
    worker = Worker()
    worker.work(20, 1.0)
    worker.rate.halt(worker.now, halted=True)
    worker.rate.halt(worker.now + 50, halted=True)
    assert worker.per_minute(10_000) == 60.0
    worker.now += 10_000
    worker.rate.halt(worker.now, halted=False)
    assert worker.per_minute() == 60.0
    worker.work(20, 1.0)
    assert worker.per_minute() == 60.0


def test_the_rate_stays_while_files_in_flight_report_nothing() -> None:
    worker = Worker()
    worker.work(20, 1.0)
    worker.rate.started(worker.now)
    shown = worker.per_minute(1_000)
    assert shown is not None
    assert worker.per_minute(100_000) == shown > 0


@given(st.floats(0, 1e6), st.lists(st.floats(0.1, 60), min_size=FEW, max_size=60))
def test_the_rate_is_that_of_the_files_in_the_window(start: float, gaps: list[float]) -> None:
    worker = Worker(start)
    done: list[float] = []
    for gap in gaps:
        worker.work(1, gap)
        done.append(worker.now)
        shown, span = worker.per_minute(), min(worker.now - start, WINDOW_SECONDS)
        recent = [at for at in done if at > worker.now - WINDOW_SECONDS + 1.0]
        if len(done) < MIN_FILES or span < MIN_SPAN_SECONDS or len(recent) < FEW:
            continue
        assert shown is not None
        # The window ends on a full second, so files of up to one second may be in or out.
        most = sum(1 for at in done if at >= worker.now - WINDOW_SECONDS - 1.0)
        assert len(recent) * 60 / span - 0.01 <= shown <= most * 60 / span + 0.01
