from __future__ import annotations

import time

import pytest

from rag_pipeline.cli.watch.work import SETTLED_SECONDS, Totals, Work, is_busy
from tests.cli.watch.states import Made


def idle(made: Made) -> None:
    made.pipeline.update(status="idle")


@pytest.mark.parametrize("status", ["initializing", "scanning", "running", "processing", "paused", "stalled"])
def test_a_pipeline_with_such_a_status_is_busy(status: str) -> None:
    assert is_busy({**Made().state, "status": status})


@pytest.mark.parametrize("status", ["idle", "stopped", "error", "my own"])
def test_another_is_busy_while_there_is_work(status: str) -> None:
    made = Made()
    made.pipeline.update(status=status)
    assert not is_busy(made.state)
    for field, value in (("is_checking", True), ("files_queued", 1), ("files_in_flight", 1)):
        assert is_busy({**made.state, field: value})


def test_it_is_done_once_every_pipeline_was_idle_for_a_while() -> None:
    one, two = Made("one"), Made("two")
    idle(one)
    work = Work(time.time())

    def done(now: float) -> bool:
        work.look({"one": one.state, "two": two.state}, now)
        return work.is_done(now)

    assert not done(0)
    assert not done(10)
    idle(two)
    assert not done(11)
    assert done(11 + SETTLED_SECONDS)
    one.pipeline.add_processing_file("a")
    assert not done(20)
    work.look({}, 21)
    work.look({}, 30)
    assert not work.is_done(30), "no pipeline has reported yet"


def test_what_was_idle_before_a_break_has_to_be_so_once_more() -> None:
    made = Made()
    idle(made)
    work = Work(time.time())
    work.look({"papers": made.state}, 0)
    work.look_away()
    work.look({"papers": made.state}, 10)
    assert not work.is_done(10)


def test_files_count_that_end_while_it_watches() -> None:
    made = Made()
    made.pipeline.complete_file("earlier")
    work = Work(time.time())
    work.look({"papers": made.state}, 0)
    assert work.done == Totals()
    made.work()
    work.look({"papers": made.state}, 1)
    assert work.done == Totals(1, 1, 1, 1)
    assert not work.well
    assert work.summary() == "1 completed, 1 failed, 1 skipped, 1 deleted"


def test_failures_from_before_it_began_do_not_count_and_those_before_the_first_look_do() -> None:
    made = Made()
    made.pipeline.complete_file("bad", False)
    assert Made().state["files_failed"] == []
    late, early = Work(time.time() + 60), Work(time.time() - 60)
    for work in (late, early):
        work.look({"papers": made.state}, 0)
    assert (late.done.failed, early.done.failed) == (0, 1)


def test_totals_that_begin_anew_are_those_of_another_process() -> None:
    first, second = Made(), Made()
    for n in range(5):
        first.pipeline.complete_file(f"{n}")
    work = Work(time.time())
    work.look({"papers": first.state}, 0)
    second.pipeline.complete_file("a", False)
    work.look({"papers": second.state}, 1)
    assert work.done == Totals(0, 1)


def test_a_pipeline_in_error_is_not_well_until_it_recovers() -> None:
    made = Made()
    made.pipeline.update(status="error")
    work = Work(time.time())
    work.look({"papers": made.state}, 0)
    assert not work.well
    assert work.summary().endswith("in error: papers")
    idle(made)
    work.look({"papers": made.state}, 1)
    assert work.well
