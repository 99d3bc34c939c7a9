"""The player keeps the times of the script at any speed, and stops at once."""

from __future__ import annotations

import math
import threading
import time

import pytest

from rag_pipeline import PipelineStatus
from rag_pipeline.cli.demo import DemoPipeline, hour
from rag_pipeline.cli.demo.steps import CheckBegins, Complete, DemoDocument, DemoStep, Fail, Idle, Skip, Start, Update
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.status.pipeline import core_of
from tests.support.waiting import wait_until


class Never:
    """A stop event that is never set and does not wait."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    def wait(self, timeout: float) -> bool:
        self.waits.append(timeout)
        return False


def test_a_whole_hour_leaves_the_totals_of_the_script() -> None:
    status = PipelineStatus("google_drive")
    assert DemoPipeline(status, speed=math.inf).run(Never())
    state = status.get()
    steps = [step.action for step in hour()]
    attempts = core_of(status).snapshot().attempts
    assert attempts.total_processed == sum(isinstance(a, Complete) for a in steps)
    assert attempts.total_failed == sum(isinstance(a, Fail) for a in steps)
    assert attempts.total_skipped == sum(isinstance(a, Skip) for a in steps)
    assert attempts.total_deleted == state["total_deleted"] == 1
    assert (state["status"], state["files_in_flight"], state["files_queued"]) == ("stopped", 0, 0)
    assert {file["attempt"] for file in state["files_completed"]} == {1}


def test_files_that_fail_in_the_outage_succeed_at_the_second_attempt() -> None:
    status = PipelineStatus("google_drive")
    steps = hour()
    end = max(index for index, step in enumerate(steps) if step.at < 3000) + 1
    DemoPipeline(status, speed=math.inf, steps=steps[:end]).run(Never())
    assert 2 in {file["attempt"] for file in status.get()["files_completed"]}


def test_times_are_divided_by_the_speed() -> None:
    never = Never()
    steps = [DemoStep(at, Update({"status": "running"})) for at in (0.0, 1000.0, 3000.0)]
    DemoPipeline(PipelineStatus(), speed=10, steps=steps).run(never)
    assert never.waits == pytest.approx([0, 100, 300, 360], abs=30)


def test_the_next_check_comes_at_the_announced_time() -> None:
    status = PipelineStatus("google_drive")
    stop = threading.Event()
    steps = [DemoStep(0, Idle(next_check_at=600, interval=600)), DemoStep(600, CheckBegins())]
    thread = threading.Thread(target=DemoPipeline(status, speed=2000, steps=steps).run, args=(stop,))
    before = time.time()
    thread.start()
    wait_until(lambda: status.get()["status"] == "scanning")
    assert time.time() - before >= 0.29
    stop.set()
    thread.join(30)
    assert not thread.is_alive()


def test_a_stop_ends_the_longest_wait_at_once() -> None:
    status = PipelineStatus("google_drive")
    stop = threading.Event()
    results: list[bool] = []
    demo = DemoPipeline(status, speed=0.001)
    thread = threading.Thread(target=lambda: results.append(demo.run(stop, loop=True)))
    thread.start()
    wait_until(lambda: core_of(status).reported)
    stop.set()
    thread.join(30)
    assert results == [False]
    assert status.get()["status"] == "stopped"


def test_a_loop_starts_the_script_over() -> None:
    class StopAfter(Never):
        def wait(self, timeout: float) -> bool:
            super().wait(timeout)
            return len(self.waits) > 10

    status = PipelineStatus("google_drive")
    steps = [
        DemoStep(0, Update({"status": "running"})),
        DemoStep(1, Start(_file())),
        DemoStep(2, Complete(_file(), {})),
    ]
    assert not DemoPipeline(status, speed=math.inf, steps=steps).run(StopAfter(), loop=True)
    assert core_of(status).snapshot().attempts.total_processed == 2


@pytest.mark.parametrize("speed", [0, -1, math.nan, -math.inf])
def test_a_bad_speed_is_refused(speed: float) -> None:
    with pytest.raises(ConfigurationError, match=r"speed=.* expected a number above 0"):
        DemoPipeline(PipelineStatus(), speed=speed)


def _file() -> DemoDocument:
    return next(step.action.file for step in hour() if isinstance(step.action, Start))
