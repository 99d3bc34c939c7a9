"""Reports of Celery tasks, and the tracker that turns them into the status of files."""

from __future__ import annotations

import json
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from rag_pipeline.adapters.file_argument import File
from rag_pipeline.adapters.reporter import Reporter
from rag_pipeline.common.liveness import is_alive

MAX_ENDED_REMEMBERED = 1000
MAX_EARLY = 1000
"""Reports of an attempt that may wait for the end of the attempt before it."""
LOST_SECONDS = 30.0
"""Seconds to wait for Celery's own report of a task whose process has died."""
WORKER_LOST: Mapping[str, Any] = {
    "type": "WorkerLostError",
    "message": "the process that ran the task has died",
    "retryable": True,
}


class ReportKind(StrEnum):
    """Events in the life of a task's file."""

    STARTED = "started"
    STAGE = "stage"
    WARNING = "warning"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class TaskReport:
    """One report about a task.

    pid: the process that runs the task.
    file: set if the task may not have been started.
    value: a stage with its fraction, a warning with its count, a result, the fields of an error, or the reason of a
    skip.
    retries: the attempt; None means the active one.
    """

    kind: ReportKind
    task_id: str
    pid: int
    file: File | None = None
    value: Any = None
    retries: int | None = None

    def to_bytes(self) -> bytes:
        """Encode the report for another process."""
        record = [self.kind, self.task_id, self.pid, self.file, self.value, self.retries]
        return json.dumps(record, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> TaskReport:
        """Decode a report."""
        kind, task_id, pid, file, value, retries = json.loads(data)
        return cls(ReportKind(kind), task_id, pid, None if file is None else File(*file), value, retries)


class ActiveTask(NamedTuple):
    """A task that runs: its file, process and attempt."""

    file: File
    pid: int
    retries: int | None


class TaskTracker:
    """Keeps the active tasks and reports their files; called by one thread at a time, in each process's order.

    Celery publishes a retry before the attempt has ended. So another process may start the next attempt, and even
    finish it, before the end of this one is reported; the next attempt's reports wait for that.
    """

    def __init__(self, reporter: Reporter, clock: Callable[[], float] = time.monotonic) -> None:
        self._reporter = reporter
        self._clock = clock
        self._active: dict[str, ActiveTask] = {}
        self._early: defaultdict[str, list[TaskReport]] = defaultdict(list)  # reports of the next attempt, by task
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._lost_since: dict[str, float] = {}

    def take(self, report: TaskReport) -> None:
        """Apply a report."""
        active = self._active.get(report.task_id)
        ahead = _attempts_ahead(report, active)
        if ahead > 0:
            self._keep_for_later(report)
        elif report.kind is ReportKind.STARTED:
            self._start(report)
        elif ahead < 0:
            return  # from an attempt that was given up
        elif report.kind is ReportKind.STAGE:
            if active is not None:
                self._reporter.stage(active.file, *report.value)
        elif report.kind is ReportKind.WARNING:
            if active is not None:
                self._reporter.warn(active.file, *report.value)
        elif report.task_id not in self._ended:  # some ends come twice: from the child and from the parent
            self._end(report)

    def _start(self, report: TaskReport) -> None:
        assert report.file is not None
        self._ended.pop(report.task_id, None)  # it is tried again
        self._active[report.task_id] = ActiveTask(report.file, report.pid, report.retries)
        self._reporter.start(report.file)
        self._give_up_lost()

    def _keep_for_later(self, report: TaskReport) -> None:
        early = self._early[report.task_id]
        if len(early) < MAX_EARLY or report.kind not in (ReportKind.STAGE, ReportKind.WARNING):
            early.append(report)
        self._give_up_lost()

    def _begin_next_attempt(self, task_id: str) -> None:
        for report in self._early.pop(task_id, ()):
            self.take(report)

    def _end(self, report: TaskReport) -> None:
        active = self._active.pop(report.task_id, None)
        file = report.file if active is None else active.file
        if file is None:
            return
        self._remember(report.task_id)
        if report.kind is ReportKind.COMPLETED:
            self._reporter.complete(file, report.value)
        elif report.kind is ReportKind.SKIPPED:
            self._reporter.skip(file, report.value)
        else:
            if active is None:
                self._reporter.start(file)
            self._reporter.fail(file, report.value)
        self._begin_next_attempt(report.task_id)

    def _remember(self, task_id: str) -> None:
        self._ended[task_id] = None
        if len(self._ended) > MAX_ENDED_REMEMBERED:
            self._ended.popitem(last=False)

    def _give_up_lost(self) -> None:
        """Fail the files whose process has died without a report: another worker may have received the task."""
        now = self._clock()
        dead = [task_id for task_id, active in self._active.items() if not is_alive(active.pid)]
        self._lost_since = {task_id: self._lost_since.get(task_id, now) for task_id in dead}
        for task_id, since in list(self._lost_since.items()):
            if now >= since + LOST_SECONDS:
                active = self._active.pop(task_id)
                self._remember(task_id)
                self._reporter.fail(active.file, WORKER_LOST)
                self._begin_next_attempt(task_id)


def _attempts_ahead(report: TaskReport, active: ActiveTask | None) -> int:
    """Return by how many attempts the report is ahead of the active one."""
    if active is None or active.retries is None or report.retries is None:
        return 0
    return report.retries - active.retries
