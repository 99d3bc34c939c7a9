"""Who takes a worker's reports: its main process itself, or from its children."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest

from rag_pipeline import PipelineStatus
from rag_pipeline.adapters.celery_tracker import Kind
from rag_pipeline.adapters.celery_worker import Worker
from rag_pipeline.adapters.file_argument import File
from rag_pipeline.status.pipeline import core_of
from tests.adapters.watched import new_pipeline
from tests.support.waiting import wait_until


@pytest.fixture
def pipeline() -> PipelineStatus:
    return new_pipeline("celery")


def work(worker: Worker, *names: str) -> None:
    for name in names:
        worker.report(Kind.STARTED, name, File(name))
        worker.report(Kind.COMPLETED, name)


def test_before_it_begins_there_is_no_worker(pipeline: PipelineStatus) -> None:
    worker = Worker(pipeline)
    assert (worker.begun, worker.is_parent) == (False, False)
    work(worker, "a.pdf")
    for step in (worker.after_fork, worker.flush, worker.end):
        step()
    assert not core_of(pipeline).reported


def test_without_children_reports_are_taken_where_they_are_made(pipeline: PipelineStatus) -> None:
    worker = Worker(pipeline)
    worker.begin("w@host")
    worker.ready(forks=False)
    assert pipeline.get()["status"] == "running"
    threads = [threading.Thread(target=work, args=(worker, *(f"{n}-{m}" for m in range(50)))) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pipeline.get()["total_processed"] == 200
    worker.end()
    worker.end()
    assert pipeline.get()["status"] == "stopped"


# From 3.12 on Python says so of each fork of a process with threads, as a worker that shows its tasks is one.
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_children_report_to_their_parent_and_the_end_waits_for_what_they_said(pipeline: PipelineStatus) -> None:
    worker = Worker(pipeline)
    worker.begin("w@host")
    worker.ready(forks=True)
    child = os.fork()
    if child == 0:
        try:
            worker.after_fork()
            work(worker, *(f"child {number}" for number in range(200)))
            worker.end()  # of the parent's, so it does nothing
            worker.flush()
        finally:
            os._exit(0)
    work(worker, "parent")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    worker.end()
    state = pipeline.get()
    assert (state["total_processed"], state["status"]) == (201, "stopped")


def test_it_is_stopped_only_once_all_reports_are_taken(
    pipeline: PipelineStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, order, never = Worker(pipeline), [], threading.Event()
    worker.begin("w@host")
    worker.ready(forks=True)

    def take(report: object) -> None:
        never.wait(0.2)
        order.append("report")

    monkeypatch.setattr(worker._desk, "take", take)
    monkeypatch.setattr(worker.reporter, "update", lambda **_: order.append("stopped"))
    work(worker, "a.pdf")
    worker.end()
    assert order == ["report", "report", "stopped"]


def test_a_worker_that_never_got_ready_is_not_shown(pipeline: PipelineStatus) -> None:
    worker = Worker(pipeline)
    worker.begin("w@host")
    worker.end()
    assert not core_of(pipeline).reported


def test_a_report_that_makes_no_sense_does_not_end_the_hearing(pipeline: PipelineStatus) -> None:
    worker = Worker(pipeline)
    worker.begin("w@host")
    worker.ready(forks=True)
    assert worker._channel is not None
    worker._channel.send(b"no report")
    work(worker, "a.pdf")
    wait_until(lambda: pipeline.get()["total_processed"] == 1)
    worker.end()


@pytest.mark.parametrize(("env", "expected"), [({}, "w@host"), ({"RAG_PIPELINE_ID": "mine"}, "mine")])
def test_the_pipeline_has_the_workers_name_unless_it_is_given_one(
    monkeypatch: pytest.MonkeyPatch, env: dict[str, str], expected: str
) -> None:
    for key, value in env.items():
        monkeypatch.setenv(key, value)
    worker = Worker()
    worker.begin("w@host")
    pipeline: Any = worker.reporter.pipeline
    assert (pipeline.pipeline_id, pipeline.pipeline_type) == (expected, "celery")
    pipeline.close()
    worker.end()
