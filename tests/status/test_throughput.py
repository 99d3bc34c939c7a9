"""Files per minute, against counting by hand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.status.throughput import BUCKET_SECONDS, BUCKETS, Throughput

WINDOW = BUCKET_SECONDS * BUCKETS


def test_nothing_is_known_before_the_first_file_is_done() -> None:
    rate = Throughput()
    assert rate.per_minute(1000.0) is None
    rate.started(1000.0)
    assert rate.per_minute(1100.0) is None


def test_nothing_is_known_within_the_first_second() -> None:
    rate = Throughput()
    rate.started(1000.0)
    rate.done(1000.1)
    assert rate.per_minute(1000.2) is None
    assert rate.per_minute(1002.0) == 30.0


def test_the_rate_is_over_the_time_since_work_began() -> None:
    rate = Throughput()
    rate.started(1000.0)
    for second in range(60):
        rate.done(1000.0 + second)
    assert rate.per_minute(1060.0) == 60.0


def test_the_rate_falls_to_0_once_nothing_happens_for_the_window() -> None:
    rate = Throughput()
    rate.started(1000.0)
    rate.done(1001.0)
    assert rate.per_minute(1001.0 + 2 * WINDOW) == 0.0


def test_a_pipeline_that_wakes_up_is_not_measured_over_its_sleep() -> None:
    rate = Throughput()
    rate.started(1000.0)
    rate.done(1001.0)
    later = 1000.0 + 10 * WINDOW
    rate.started(later)
    rate.done(later + 2)
    assert rate.per_minute(later + 2) == 30.0


@given(st.floats(0, 1e6), st.lists(st.floats(0, 120), min_size=1, max_size=60))
def test_the_rate_is_that_of_the_files_in_the_window(start: float, gaps: list[float]) -> None:
    rate = Throughput()
    rate.started(start)
    now = start
    done: list[float] = []
    for gap in gaps:
        now += gap
        rate.done(now)
        done.append(now)
        shown = rate.per_minute(now)
        span = min(now - start, WINDOW)
        if span < 1:
            assert shown is None
            continue
        assert shown is not None
        # The window ends on a bucket's edge, so that up to one bucket is in or out.
        least = sum(1 for at in done if at > now - WINDOW + BUCKET_SECONDS)
        most = sum(1 for at in done if at >= now - WINDOW - BUCKET_SECONDS)
        assert least * 60 / span - 0.01 <= shown <= most * 60 / span + 0.01
