"""How long stages and files take, against adding up by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.status.files import key_of
from rag_pipeline.status.stages import BOUNDS_SECONDS, MAX_STAGES, OTHER, Histogram, StageTimes

A, B = key_of("a", None), key_of("b", None)


def stages(times: StageTimes) -> dict[str, Histogram]:
    return dict(times.durations().stages)


def test_a_stay_lasts_from_the_first_report_to_the_next_stage_or_the_end() -> None:
    times = StageTimes()
    times.enter(A, None, 10.0)
    times.enter(A, "extracting", 12.0)
    times.leave(A, "chunking", 12.5)
    assert {name: one.sum_seconds for name, one in stages(times).items()} == {"extracting": 2.0, "chunking": 0.5}


def test_a_duration_counts_in_the_bucket_whose_bound_it_just_reaches() -> None:
    times = StageTimes()
    for bound in BOUNDS_SECONDS:
        times.done(bound, failed=False)
    times.done(BOUNDS_SECONDS[-1] + 1, failed=False)
    assert times.durations().completed.counts == (1,) * (len(BOUNDS_SECONDS) + 1)
    assert sum(times.durations().failed.counts) == 0


def test_files_are_measured_apart() -> None:
    times = StageTimes()
    times.enter(A, None, 0.0)
    times.enter(B, None, 1.0)
    times.leave(B, "x", 2.0)
    times.leave(A, "x", 4.0)
    assert stages(times)["x"].sum_seconds == 5.0


def test_a_file_that_starts_over_leaves_no_stay_behind() -> None:
    times = StageTimes()
    times.enter(A, None, 0.0)
    times.enter(A, None, 9.0)
    times.leave(A, "x", 10.0)
    times.enter(B, None, 0.0)
    times.leave(B, None, 9.0)
    times.leave(B, "x", 99.0)
    assert {name: one.sum_seconds for name, one in stages(times).items()} == {"x": 1.0}


def test_a_file_that_was_in_no_stage_has_no_stay() -> None:
    times = StageTimes()
    times.leave(A, None, 9.0)
    assert stages(times) == {}


def test_stages_past_the_bound_are_counted_together() -> None:
    times = StageTimes()
    for number in range(MAX_STAGES + 5):
        times.enter(A, None, 0.0)
        times.leave(A, f"stage {number}", 1.0)
    assert len(stages(times)) == MAX_STAGES + 1
    assert sum(stages(times)[OTHER].counts) == 5
    times.enter(A, None, 0.0)
    times.leave(A, "stage 0", 1.0)
    assert sum(stages(times)["stage 0"].counts) == 2, "a stage that has its name keeps it"


@given(st.lists(st.floats(0, 5000)))
def test_nothing_is_lost_between_the_buckets(durations: list[float]) -> None:
    times = StageTimes()
    for seconds in durations:
        times.done(seconds, failed=True)
    found = times.durations().failed
    assert sum(found.counts) == len(durations)
    # From Python 3.12 on, sum() makes up for what the additions round away.
    assert found.sum_seconds == pytest.approx(sum(durations))
    for place, bound in enumerate(BOUNDS_SECONDS):
        assert sum(found.counts[: place + 1]) == sum(seconds <= bound for seconds in durations)
