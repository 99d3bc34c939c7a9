"""What a Celery process reports of its tasks, and what the worker's main process makes of it."""

from __future__ import annotations

import json
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rag_pipeline.adapters.files import File
from rag_pipeline.adapters.reporter import Reporter

MAX_ENDED_REMEMBERED = 1000
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
    error as it is shown, or the reason of a skip.
    """

    kind: Kind
    task_id: str
    pid: int
    file: File | None = None
    value: Any = None

    def to_bytes(self) -> bytes:
        """Return it as it is sent to another process."""
        record = [self.kind, self.task_id, self.pid, self.file, self.value]
        return json.dumps(record, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Report:
        """Return what :meth:`to_bytes` was made of."""
        kind, task_id, pid, file, value = json.loads(data)
        return cls(Kind(kind), task_id, pid, None if file is None else File(*file), value)


class Desk:
    """The tasks in work, and their files; one thread at a time hands it reports, in the order they were made."""

    def __init__(self, reporter: Reporter, clock: Callable[[], float] = time.monotonic) -> None:
        self._reporter = reporter
        self._clock = clock
        self._working: dict[str, tuple[File, int]] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._lost: dict[str, float] = {}

    def take(self, report: Report) -> None:
        """Show what the report says."""
        if report.kind is Kind.STARTED:
            self._start(report)
        elif report.kind is Kind.STAGE:
            working = self._working.get(report.task_id)
            if working is not None:
                self._reporter.stage(working[0], *report.value)
        elif report.task_id not in self._ended:  # some ends are told twice, by the child and of it
            self._end(report)

    def _start(self, report: Report) -> None:
        assert report.file is not None
        self._ended.pop(report.task_id, None)  # it is tried again
        self._working[report.task_id] = (report.file, report.pid)
        self._reporter.start(report.file)
        self._give_up_lost()

    def _end(self, report: Report) -> None:
        working = self._working.pop(report.task_id, None)
        file = report.file if working is None else working[0]
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

    def _remember(self, task_id: str) -> None:
        self._ended[task_id] = None
        if len(self._ended) > MAX_ENDED_REMEMBERED:
            self._ended.popitem(last=False)

    def _give_up_lost(self) -> None:
        """End the files whose process has died, if nothing is said of them: another worker may have got the task."""
        now = self._clock()
        dead = [task_id for task_id, (_, pid) in self._working.items() if not _is_alive(pid)]
        self._lost = {task_id: self._lost.get(task_id, now) for task_id in dead}
        for task_id, since in list(self._lost.items()):
            if now >= since + LOST_SECONDS:
                file, _ = self._working.pop(task_id)
                self._remember(task_id)
                self._reporter.fail(file, LOST)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
