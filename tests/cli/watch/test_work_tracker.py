from __future__ import annotations

import time

import pytest

from rag_pipeline.cli.watch.work_tracker import IDLE_SECONDS, OutcomeCounts, WorkTracker, is_busy
from tests.cli.watch.states import Made


def idle(made: Made) -> None:
    made.pipeline.update(status="idle")


@pytest.mark.parametrize("status", ["initializing", "scanning", "running", "processing", "paused", "stalled"])
def test_these_statuses_are_busy(status: str) -> None:
    assert is_busy({**Made().state, "status": status})


@pytest.mark.parametrize("status", ["idle", "stopped", "error", "my own"])
def test_any_other_status_is_busy_while_there_is_work(status: str) -> None:
    made = Made()
    made.pipeline.update(status=status)
    assert not is_busy(made.state)
    for field, value in (("is_checking", True), ("files_queued", 1), ("files_in_flight", 1)):
        assert is_busy({**made.state, field: value})


def test_work_is_done_once_every_pipeline_was_idle_for_a_while() -> None:
    one, two = Made("one"), Made("two")
    idle(one)
    work = WorkTracker(time.time())

    def done(now: float) -> bool:
        work.update({"one": one.state, "two": two.state}, now)
        return work.is_done(now)

    assert not done(0)
    assert not done(10)
    idle(two)
    assert not done(11)
    assert done(11 + IDLE_SECONDS)
    one.pipeline.add_processing_file("a")
    assert not done(20)
    work.update({}, 21)
    work.update({}, 30)
    assert not work.is_done(30), "no pipeline has reported yet"


def test_a_break_restarts_the_idle_time() -> None:
    made = Made()
    idle(made)
    work = WorkTracker(time.time())
    work.update({"papers": made.state}, 0)
    work.interrupt()
    work.update({"papers": made.state}, 10)
    assert not work.is_done(10)


def test_only_files_that_end_while_watching_count() -> None:
    made = Made()
    made.pipeline.complete_file("earlier")
    work = WorkTracker(time.time())
    work.update({"papers": made.state}, 0)
    assert work.done == OutcomeCounts()
    made.work()
    work.update({"papers": made.state}, 1)
    assert work.done == OutcomeCounts(1, 1, 1, 1)
    assert not work.succeeded
    assert work.summary() == "1 completed, 1 failed, 1 skipped, 1 deleted"


def test_failures_count_from_the_start_even_before_the_first_update() -> None:
    made = Made()
    made.pipeline.complete_file("bad", False)
    assert Made().state["files_failed"] == []
    late, early = WorkTracker(time.time() + 60), WorkTracker(time.time() - 60)
    for work in (late, early):
        work.update({"papers": made.state}, 0)
    assert (late.done.failed, early.done.failed) == (0, 1)


def test_counts_add_up_over_a_restart_that_starts_from_zero() -> None:
    first, second = Made(), Made()
    for n in range(5):
        first.pipeline.complete_file(f"{n}")
    work = WorkTracker(time.time())
    work.update({"papers": first.state}, 0)
    second.pipeline.complete_file("a", False)
    work.update({"papers": second.state}, 1)
    assert work.done == OutcomeCounts(0, 1)


def test_a_pipeline_in_error_is_a_failure_until_it_recovers() -> None:
    made = Made()
    made.pipeline.update(status="error")
    work = WorkTracker(time.time())
    work.update({"papers": made.state}, 0)
    assert not work.succeeded
    assert work.summary().endswith("in error: papers")
    idle(made)
    work.update({"papers": made.state}, 1)
    assert work.succeeded


def test_the_summary_counts_files_with_warnings() -> None:
    made = Made()
    work = WorkTracker(time.time())
    work.update({"papers": made.state}, 0)
    made.pipeline.complete_file("a", warnings=["odd"])
    made.pipeline.complete_file("b")
    work.update({"papers": made.state}, 1)
    assert work.summary() == "2 completed (1 with warnings), 0 failed, 0 skipped, 0 deleted"
    made.pipeline.complete_file("a")
    older = {key: value for key, value in made.state.items() if key != "total_with_warnings"}
    for state in (made.state, {**older, "epoch": "later"}):
        work.update({"papers": state}, 2)
        assert work.summary() == "2 completed, 0 failed, 0 skipped, 0 deleted"
