"""Histograms, compared with plain sums."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.status.stages import BOUNDS_SECONDS, MAX_STAGES, OTHER, Histogram, Measured, StageTimes


def stages(times: StageTimes) -> dict[str, Histogram]:
    return dict(times.durations().stages)


def count(measured: Measured | None, times: int = 1) -> None:
    assert measured is not None
    buckets, index, counted, seconds = measured
    for _ in range(times):
        buckets.assign(index, counted, seconds)


def test_a_duration_on_a_bound_counts_in_the_lower_bucket() -> None:
    times = StageTimes()
    for bound in (*BOUNDS_SECONDS, BOUNDS_SECONDS[-1] + 1):
        count(times.end(bound, failed=False))
    assert times.durations().completed.counts == (1,) * (len(BOUNDS_SECONDS) + 1)
    assert sum(times.durations().failed.counts) == 0


def test_a_repeated_count_counts_once() -> None:
    times = StageTimes()
    count(times.stay("x", 2.0), times=2)
    count(times.stay("x", 3.0), times=2)
    assert (sum(stages(times)["x"].counts), stages(times)["x"].sum_seconds) == (2, 5.0)


def test_a_file_without_a_stage_is_not_measured() -> None:
    times = StageTimes()
    assert times.stay(None, 9.0) is None
    assert stages(times) == {}


def test_stages_over_the_limit_share_a_histogram() -> None:
    times = StageTimes()
    for number in range(MAX_STAGES + 5):
        count(times.stay(f"stage {number}", 1.0))
    assert len(stages(times)) == MAX_STAGES + 1
    assert sum(stages(times)[OTHER].counts) == 5
    count(times.stay("stage 0", 1.0))
    assert sum(stages(times)["stage 0"].counts) == 2, "a stage that has its name keeps it"


@given(st.lists(st.floats(0, 5000)))
def test_every_duration_is_in_one_bucket(durations: list[float]) -> None:
    times = StageTimes()
    for seconds in durations:
        count(times.end(seconds, failed=True))
    found = times.durations().failed
    assert sum(found.counts) == len(durations)
    # From Python 3.12 on, sum() compensates rounding errors.
    assert found.sum_seconds == pytest.approx(sum(durations))
    for place, bound in enumerate(BOUNDS_SECONDS):
        assert sum(found.counts[: place + 1]) == sum(seconds <= bound for seconds in durations)
