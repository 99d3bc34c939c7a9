"""Finds the files of Celery tasks, and tracks the tasks that run in this process."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextvars import Token
from typing import TYPE_CHECKING, Any

from rag_pipeline.adapters.celery_tracker import ReportKind
from rag_pipeline.adapters.current_file import CurrentFile, enter, leave
from rag_pipeline.adapters.file_argument import Choice, File, FileArgument

if TYPE_CHECKING:
    from rag_pipeline.adapters.celery_worker import CeleryWorker

STAGE_INTERVAL_SECONDS = 0.1
MAX_WARNING_TEXT = 1000


class TaskFiles:
    """The tasks of an app, or of all apps, without Celery's built-in ones."""

    def __init__(self, app: Any, choice: Choice) -> None:
        self._app = app
        self._choice = choice
        self._arguments: dict[str, FileArgument | None] = {}
        self._entered: dict[tuple[str, int], Token[CurrentFile | None]] = {}

    def file(self, task: Any, args: Iterable[Any], kwargs: Mapping[str, Any]) -> File | None:
        """Return the file of a call of the task; None if the task is not reported."""
        argument = self._argument(task)
        file = None if argument is None else argument.find(args, kwargs)
        if file is None or file.id is not None:
            return file
        return file._replace(id=f"{task.name}:{file.name}")  # two tasks on one file are not attempts at the same work

    def enter(self, work: RunningTask) -> None:
        """Make an attempt that starts here the current work."""
        self._entered[work.task_id, work.retries] = enter(work)

    def leave(self, task_id: str, retries: int) -> bool:
        """End the attempt; return whether the task is a reported one."""
        token = self._entered.pop((task_id, retries), None)
        if token is None:
            return False
        leave(token)
        return True

    def _argument(self, task: Any) -> FileArgument | None:
        name = str(task.name)
        if name not in self._arguments:
            self._arguments[name] = self._find_argument(task, name)
        return self._arguments[name]

    def _find_argument(self, task: Any, name: str) -> FileArgument | None:
        if name.startswith("celery.") or (self._app is not None and task.app is not self._app):
            return None
        try:
            return FileArgument(task.run, self._choice)
        except ValueError:  # without such an argument the task has no file
            return None


class RunningTask:
    """A task that runs in this process, as the current file."""

    def __init__(self, worker: CeleryWorker, task_id: str, retries: int = 0) -> None:
        self._worker = worker
        self.task_id = task_id
        self.retries = retries
        self._last: tuple[str, float] = ("", 0.0)

    def stage(self, stage: str, progress: float | None = None) -> None:
        """Report the stage, at most every 0.1 s for the same one, because each report is a message to the parent."""
        name, at = self._last
        now = time.monotonic()
        if stage == name and now < at + STAGE_INTERVAL_SECONDS and progress != 1:
            return
        self._last = (stage, now)
        self._worker.report(ReportKind.STAGE, self.task_id, value=[stage, progress], retries=self.retries)

    def warn(self, type: str, message: str, count: int = 1) -> None:  # noqa: A002 - the warning's own word for it
        """Add a warning to the file; each report is a message to the parent."""
        value = [str(type)[:MAX_WARNING_TEXT], str(message)[:MAX_WARNING_TEXT], count]
        self._worker.report(ReportKind.WARNING, self.task_id, value=value, retries=self.retries)
