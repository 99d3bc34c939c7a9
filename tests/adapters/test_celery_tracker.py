"""The status that results from reports about tasks."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline import PipelineStatus
from rag_pipeline.adapters import celery_tracker
from rag_pipeline.adapters.celery_tracker import LOST_SECONDS, ReportKind, TaskReport, TaskTracker
from rag_pipeline.adapters.file_argument import File
from rag_pipeline.adapters.reporter import Reporter
from rag_pipeline.status.pipeline import core_of
from tests.adapters.watched import new_pipeline

HERE = os.getpid()
A, B = File("a.pdf", "task:a.pdf"), File("b.pdf", "task:b.pdf")
ERROR = {"type": "OSError", "message": "no"}


@pytest.fixture
def pipeline() -> PipelineStatus:
    return new_pipeline("celery")


@pytest.fixture
def tracker(pipeline: PipelineStatus) -> TaskTracker:
    return TaskTracker(Reporter("celery", pipeline))


@pytest.fixture
def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3))


@pytest.mark.slow
@given(
    st.builds(
        TaskReport,
        st.sampled_from(ReportKind),
        st.text(),
        st.integers(0),
        st.none() | st.builds(File, st.text(), st.none() | st.text()),
        JSON,
        st.none() | st.integers(0),
    )
)
def test_a_report_can_be_encoded_and_decoded(report: TaskReport) -> None:
    assert TaskReport.from_bytes(report.to_bytes()) == report


def test_a_task_is_reported_from_its_start_to_its_end(tracker: TaskTracker, pipeline: PipelineStatus) -> None:
    tracker.take(TaskReport(ReportKind.STARTED, "1", HERE, A))
    tracker.take(TaskReport(ReportKind.STAGE, "1", HERE, value=["embedding", 0.5]))
    (file,) = pipeline.get()["files_processing"]
    assert (file["stage"], file["progress"]) == ("embedding", 0.5)
    tracker.take(TaskReport(ReportKind.COMPLETED, "1", HERE, value={"chunks": 3}))
    assert pipeline.get()["files_completed"][0]["result"] == {"chunks": 3}


def test_an_end_that_is_reported_twice_counts_once(tracker: TaskTracker, pipeline: PipelineStatus) -> None:
    tracker.take(TaskReport(ReportKind.STARTED, "1", HERE, A))
    for file in (None, A):
        tracker.take(TaskReport(ReportKind.FAILED, "1", HERE, file, ERROR))
    state = pipeline.get()
    assert (state["total_failed"], state["files_in_flight"]) == (1, 0)


def test_a_retried_task_is_another_attempt(tracker: TaskTracker, pipeline: PipelineStatus) -> None:
    for _ in range(2):
        tracker.take(TaskReport(ReportKind.STARTED, "1", HERE, A))
        tracker.take(TaskReport(ReportKind.FAILED, "1", HERE, value=ERROR))
    tracker.take(TaskReport(ReportKind.STARTED, "1", HERE, A))
    tracker.take(TaskReport(ReportKind.COMPLETED, "1", HERE))
    assert pipeline.get()["files_completed"][0]["attempt"] == 3


@given(st.data())
def test_overlapping_attempts_are_reported_one_after_the_other(data: st.DataObject) -> None:
    """Celery publishes a retry before the attempt has ended, so its end may be reported after all of the next."""
    pipeline = new_pipeline("celery")
    tracker = TaskTracker(Reporter("celery", pipeline))
    attempts = [
        [
            TaskReport(ReportKind.STARTED, "1", HERE, A, retries=retries),
            TaskReport(ReportKind.STAGE, "1", HERE, value=["embedding", 0.5], retries=retries),
            TaskReport(
                ReportKind.COMPLETED if retries == 2 else ReportKind.FAILED, "1", HERE, value=ERROR, retries=retries
            ),
        ]
        for retries in range(3)
    ]
    begun = 1
    while any(attempts):
        turn = data.draw(st.sampled_from([attempt for attempt in attempts[:begun] if attempt]))
        report = turn.pop(0)
        # The next attempt may start once this one has requested it.
        begun = max(begun, (report.retries or 0) + 1 + (report.kind is ReportKind.STAGE))
        tracker.take(report)
    state = pipeline.get()
    assert (state["files_in_flight"], state["files_completed"][-1]["attempt"]) == (0, 3)
    assert (state["files_failed"], core_of(pipeline).snapshot().attempts[:2]) == ([], (1, 2))
    assert not tracker._early


def test_the_end_of_a_lost_attempt_starts_the_next(pipeline: PipelineStatus, dead_pid: int) -> None:
    now = 0.0
    tracker = TaskTracker(Reporter("celery", pipeline), lambda: now)
    tracker.take(TaskReport(ReportKind.STARTED, "1", dead_pid, A, retries=0))
    tracker.take(TaskReport(ReportKind.STARTED, "1", HERE, A, retries=1))
    tracker.take(TaskReport(ReportKind.COMPLETED, "1", HERE, retries=1))
    now = LOST_SECONDS
    tracker.take(TaskReport(ReportKind.STARTED, "2", HERE, B, retries=0))
    state = pipeline.get()
    assert (state["total_processed"], state["total_failed"], state["files_in_flight"]) == (1, 0, 1)
    assert core_of(pipeline).snapshot().attempts[:2] == (1, 1)


def test_a_task_that_was_never_started_can_be_skipped_or_fail(tracker: TaskTracker, pipeline: PipelineStatus) -> None:
    tracker.take(TaskReport(ReportKind.SKIPPED, "1", HERE, A, "revoked"))
    tracker.take(TaskReport(ReportKind.FAILED, "2", HERE, B, ERROR))
    state = pipeline.get()
    assert state["files_skipped"][0]["error"]["message"] == "revoked"
    assert state["files_failed"][0]["started_at"] is not None


def test_reports_about_unknown_tasks_are_ignored(tracker: TaskTracker, pipeline: PipelineStatus) -> None:
    for kind, value in ((ReportKind.STAGE, ["x", None]), (ReportKind.COMPLETED, None), (ReportKind.FAILED, ERROR)):
        tracker.take(TaskReport(kind, "1", HERE, value=value))
    assert not core_of(pipeline).reported


def test_a_task_whose_process_died_without_a_report_fails_after_a_while(
    pipeline: PipelineStatus, dead_pid: int
) -> None:
    now = 0.0
    tracker = TaskTracker(Reporter("celery", pipeline), lambda: now)
    tracker.take(TaskReport(ReportKind.STARTED, "1", dead_pid, A))
    now = LOST_SECONDS - 1
    tracker.take(TaskReport(ReportKind.STARTED, "2", HERE, B))
    assert pipeline.get()["files_in_flight"] == 2
    now = LOST_SECONDS
    tracker.take(TaskReport(ReportKind.STARTED, "2", HERE, B))
    state = pipeline.get()
    assert [(f["name"], f["error"]["type"], f["error"]["retryable"]) for f in state["files_failed"]] == [
        ("a.pdf", "WorkerLostError", True),
    ]
    tracker.take(TaskReport(ReportKind.FAILED, "1", HERE, A, ERROR))
    assert pipeline.get()["total_failed"] == 1


def test_celerys_own_report_about_a_dead_process_wins(pipeline: PipelineStatus, dead_pid: int) -> None:
    now = 0.0
    tracker = TaskTracker(Reporter("celery", pipeline), lambda: now)
    tracker.take(TaskReport(ReportKind.STARTED, "1", dead_pid, A))
    tracker.take(TaskReport(ReportKind.FAILED, "1", HERE, A, ERROR))
    now = 2 * LOST_SECONDS
    tracker.take(TaskReport(ReportKind.STARTED, "2", HERE, B))
    assert [file["error"]["type"] for file in pipeline.get()["files_failed"]] == ["OSError"]


def test_the_number_of_remembered_ends_is_bounded(
    tracker: TaskTracker, pipeline: PipelineStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(celery_tracker, "MAX_ENDED_REMEMBERED", 3)
    for number in range(10):
        tracker.take(TaskReport(ReportKind.SKIPPED, str(number), HERE, A, "revoked"))
    assert list(tracker._ended) == ["7", "8", "9"]
