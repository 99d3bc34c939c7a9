"""What a Celery process reports of its tasks, and what the worker's main process makes of it."""

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
"""How many reports of an attempt wait for the end of the attempt before it."""
LOST_SECONDS = 30.0
"""How long Celery has time to say itself what became of a task whose process has died."""
LOST: Mapping[str, Any] = {
    "type": "WorkerLostError",
    "message": "the process that worked on it is gone",
    "retryable": True,
}


class Kind(StrEnum):
    """What has happened to a task's file."""

    STARTED = "started"
    STAGE = "stage"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Report:
    """One thing that has happened; ``pid`` is the process that works on the task.

    ``file`` is there where the task may not have been started. ``value`` is a stage with its fraction, a result, an
    error as it is shown, or the reason of a skip. ``retries`` says which attempt it is about; None: the one in work.
    """

    kind: Kind
    task_id: str
    pid: int
    file: File | None = None
    value: Any = None
    retries: int | None = None

    def to_bytes(self) -> bytes:
        """Return it as it is sent to another process."""
        record = [self.kind, self.task_id, self.pid, self.file, self.value, self.retries]
        return json.dumps(record, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Report:
        """Return what :meth:`to_bytes` was made of."""
        kind, task_id, pid, file, value, retries = json.loads(data)
        return cls(Kind(kind), task_id, pid, None if file is None else File(*file), value, retries)


class Working(NamedTuple):
    """A file in work: by which process, and in which attempt."""

    file: File
    pid: int
    retries: int | None


class Desk:
    """The tasks in work, and their files; one thread at a time hands it the reports of each process in their order.

    Celery publishes a retry before the attempt has ended, so another process may begin the next attempt, and even end
    it, before the end of this one is reported: the next attempt's reports wait for that.
    """

    def __init__(self, reporter: Reporter, clock: Callable[[], float] = time.monotonic) -> None:
        self._reporter = reporter
        self._clock = clock
        self._working: dict[str, Working] = {}
        self._early: defaultdict[str, list[Report]] = defaultdict(list)
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._lost: dict[str, float] = {}

    def take(self, report: Report) -> None:
        """Show what the report says."""
        working = self._working.get(report.task_id)
        ahead = _attempts_ahead(report, working)
        if ahead > 0:
            self._keep_for_later(report)
        elif report.kind is Kind.STARTED:
            self._start(report)
        elif ahead < 0:
            return  # of an attempt that was given up
        elif report.kind is Kind.STAGE:
            if working is not None:
                self._reporter.stage(working.file, *report.value)
        elif report.task_id not in self._ended:  # some ends are told twice, by the child and of it
            self._end(report)

    def _start(self, report: Report) -> None:
        assert report.file is not None
        self._ended.pop(report.task_id, None)  # it is tried again
        self._working[report.task_id] = Working(report.file, report.pid, report.retries)
        self._reporter.start(report.file)
        self._give_up_lost()

    def _keep_for_later(self, report: Report) -> None:
        early = self._early[report.task_id]
        if len(early) < MAX_EARLY or report.kind is not Kind.STAGE:
            early.append(report)
        self._give_up_lost()

    def _begin_next_attempt(self, task_id: str) -> None:
        for report in self._early.pop(task_id, ()):
            self.take(report)

    def _end(self, report: Report) -> None:
        working = self._working.pop(report.task_id, None)
        file = report.file if working is None else working.file
        if file is None:
            return
        self._remember(report.task_id)
        if report.kind is Kind.COMPLETED:
            self._reporter.complete(file, report.value)
        elif report.kind is Kind.SKIPPED:
            self._reporter.skip(file, report.value)
        else:
            if working is None:
                self._reporter.start(file)
            self._reporter.fail(file, report.value)
        self._begin_next_attempt(report.task_id)

    def _remember(self, task_id: str) -> None:
        self._ended[task_id] = None
        if len(self._ended) > MAX_ENDED_REMEMBERED:
            self._ended.popitem(last=False)

    def _give_up_lost(self) -> None:
        """End the files whose process has died, if nothing is said of them: another worker may have got the task."""
        now = self._clock()
        dead = [task_id for task_id, working in self._working.items() if not is_alive(working.pid)]
        self._lost = {task_id: self._lost.get(task_id, now) for task_id in dead}
        for task_id, since in list(self._lost.items()):
            if now >= since + LOST_SECONDS:
                working = self._working.pop(task_id)
                self._remember(task_id)
                self._reporter.fail(working.file, LOST)
                self._begin_next_attempt(task_id)


def _attempts_ahead(report: Report, working: Working | None) -> int:
    """Return by how many attempts the report is ahead of what is in work."""
    if working is None or working.retries is None or report.retries is None:
        return 0
    return report.retries - working.retries
