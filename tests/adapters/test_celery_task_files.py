"""The files of tasks."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery

from rag_pipeline.adapters.celery_task_files import RunningTask, TaskFiles
from rag_pipeline.adapters.celery_tracker import ReportKind
from rag_pipeline.adapters.current_file import current, stage, warn
from rag_pipeline.adapters.file_argument import Choice, File

app = Celery("tests", set_as_current=False)


@app.task(name="ingest")
def ingest(path: str, title: str = "") -> None: ...


@app.task(name="bound", bind=True)
def bound(self: Any, path: str) -> None: ...


@app.task(name="count")
def count(number: int) -> None: ...


class Sent:
    """A worker that records the reports."""

    def __init__(self) -> None:
        self.reports: list[tuple[Any, ...]] = []

    def report(self, *report: Any, value: Any = None, retries: int | None = None) -> None:
        self.reports.append((*report, retries, value))


@pytest.mark.parametrize("task", [ingest, bound])
def test_the_file_is_the_first_suitable_argument(task: Any) -> None:
    assert TaskFiles(None, None).file(task, ["a.pdf"], {}) == File("a.pdf", f"{task.name}:a.pdf")
    assert TaskFiles(None, None).file(task, [], {"path": "a.pdf"}) == File("a.pdf", f"{task.name}:a.pdf")


@pytest.mark.parametrize(
    ("choice", "file"),
    [
        ("title", File("T", "ingest:T")),
        ("no_such_argument", None),
        (lambda path, title: File(path, title), File("a.pdf", "T")),
        (lambda *_, **__: None, None),
    ],
)
def test_the_file_can_be_chosen(choice: Choice, file: File | None) -> None:
    assert TaskFiles(None, choice).file(ingest, ["a.pdf"], {"title": "T"}) == file


def test_tasks_without_file_of_other_apps_and_of_celery_are_not_reported() -> None:
    assert TaskFiles(None, None).file(count, [7], {}) is None
    assert TaskFiles(Celery("other", set_as_current=False), None).file(ingest, ["a.pdf"], {}) is None
    assert TaskFiles(app, None).file(ingest, ["a.pdf"], {}) is not None
    assert TaskFiles(None, None).file(app.tasks["celery.chunks"], ["a.pdf"], {}) is None


def test_stages_go_to_the_task_that_runs_here() -> None:
    tasks, sent = TaskFiles(None, None), Sent()
    tasks.enter(RunningTask(sent, "1", 2))  # type: ignore[arg-type]
    stage("chunking", 0.5)
    assert not tasks.leave("1", 1)
    assert tasks.leave("1", 2)
    assert not tasks.leave("1", 2)
    assert current() is None
    assert sent.reports == [(ReportKind.STAGE, "1", 2, ["chunking", 0.5])]


def test_fractions_of_a_stage_are_throttled_but_the_last_one_is_sent() -> None:
    sent = Sent()
    work = RunningTask(sent, "1")  # type: ignore[arg-type]
    for part in range(1001):
        work.stage("embedding", part / 1000)
    work.stage("storing")
    values = [value for *_, value in sent.reports]
    assert values[0] == ["embedding", 0.0]
    assert values[-2:] == [["embedding", 1.0], ["storing", None]]
    assert len(values) < 500


def test_warnings_go_to_the_task_that_runs_here_and_are_bounded() -> None:
    tasks, sent = TaskFiles(None, None), Sent()
    tasks.enter(RunningTask(sent, "1", 2))  # type: ignore[arg-type]
    warn("odd", "x" * 100_000, 3)
    tasks.leave("1", 2)
    warn("odd", "nowhere")
    assert sent.reports == [(ReportKind.WARNING, "1", 2, ["odd", "x" * 1000, 3])]
