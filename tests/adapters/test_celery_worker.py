"""Reports of a worker's main process and of its children."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest

from rag_pipeline import PipelineStatus
from rag_pipeline.adapters.celery_tracker import ReportKind
from rag_pipeline.adapters.celery_worker import CeleryWorker
from rag_pipeline.adapters.file_argument import File
from rag_pipeline.status.pipeline import core_of
from tests.adapters.watched import new_pipeline
from tests.support.waiting import wait_until


@pytest.fixture
def pipeline() -> PipelineStatus:
    return new_pipeline("celery")


def work(worker: CeleryWorker, *names: str) -> None:
    for name in names:
        worker.report(ReportKind.STARTED, name, File(name))
        worker.report(ReportKind.COMPLETED, name)


def test_before_begin_nothing_is_reported(pipeline: PipelineStatus) -> None:
    worker = CeleryWorker(pipeline)
    assert (worker.begun, worker.is_parent) == (False, False)
    work(worker, "a.pdf")
    for step in (worker.after_fork, worker.flush, worker.end):
        step()
    assert not core_of(pipeline).reported


def test_without_children_reports_are_applied_directly(pipeline: PipelineStatus) -> None:
    worker = CeleryWorker(pipeline)
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


# Since Python 3.12 a fork of a process with threads emits a DeprecationWarning.
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_children_report_to_their_parent_and_end_waits_for_them(pipeline: PipelineStatus) -> None:
    worker = CeleryWorker(pipeline)
    worker.begin("w@host")
    worker.ready(forks=True)
    child = os.fork()
    if child == 0:
        try:
            worker.after_fork()
            work(worker, *(f"child {number}" for number in range(200)))
            worker.end()  # in a child it does nothing
            worker.flush()
        finally:
            os._exit(0)
    work(worker, "parent")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    worker.end()
    state = pipeline.get()
    assert (state["total_processed"], state["status"]) == (201, "stopped")


@pytest.mark.slow
def test_it_is_stopped_only_after_all_reports_are_applied(
    pipeline: PipelineStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, order, never = CeleryWorker(pipeline), [], threading.Event()
    worker.begin("w@host")
    worker.ready(forks=True)

    def take(report: object) -> None:
        never.wait(0.2)
        order.append("report")

    monkeypatch.setattr(worker._tracker, "take", take)
    monkeypatch.setattr(worker.reporter, "update", lambda **_: order.append("stopped"))
    work(worker, "a.pdf")
    worker.end()
    assert order == ["report", "report", "stopped"]


def test_a_worker_that_was_never_ready_is_not_reported(pipeline: PipelineStatus) -> None:
    worker = CeleryWorker(pipeline)
    worker.begin("w@host")
    worker.end()
    assert not core_of(pipeline).reported


def test_a_malformed_report_does_not_stop_the_receiving(pipeline: PipelineStatus) -> None:
    worker = CeleryWorker(pipeline)
    worker.begin("w@host")
    worker.ready(forks=True)
    assert worker._channel is not None
    worker._channel.send(b"no report")
    work(worker, "a.pdf")
    wait_until(lambda: pipeline.get()["total_processed"] == 1)
    worker.end()


@pytest.mark.slow
@pytest.mark.parametrize(("env", "expected"), [({}, "w@host"), ({"RAG_PIPELINE_ID": "mine"}, "mine")])
def test_the_pipeline_id_is_the_workers_name_by_default(
    monkeypatch: pytest.MonkeyPatch, env: dict[str, str], expected: str
) -> None:
    for key, value in env.items():
        monkeypatch.setenv(key, value)
    worker = CeleryWorker()
    worker.begin("w@host")
    pipeline: Any = worker.reporter.pipeline
    assert (pipeline.pipeline_id, pipeline.pipeline_type) == (expected, "celery")
    pipeline.close()
    worker.end()
