"""Which tasks are shown, the file of each, and which of them run here."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextvars import Token
from typing import TYPE_CHECKING, Any

from rag_pipeline.adapters.celery_tracker import Kind
from rag_pipeline.adapters.current_file import Current, enter, leave
from rag_pipeline.adapters.file_argument import Choice, File, FileArgument

if TYPE_CHECKING:
    from rag_pipeline.adapters.celery_worker import Worker

STAGE_INTERVAL_SECONDS = 0.1


class Tasks:
    """The tasks of an app, or of all; those that Celery brings along are not shown."""

    def __init__(self, app: Any, choice: Choice) -> None:
        self._app = app
        self._choice = choice
        self._arguments: dict[str, FileArgument | None] = {}
        self._entered: dict[tuple[str, int], Token[Current | None]] = {}

    def file(self, task: Any, args: Iterable[Any], kwargs: Mapping[str, Any]) -> File | None:
        """Return the file of a call of the task; None if it is not shown."""
        argument = self._argument(task)
        file = None if argument is None else argument.find(args, kwargs)
        if file is None or file.id is not None:
            return file
        return file._replace(id=f"{task.name}:{file.name}")  # two tasks of one file are not attempts at the same

    def enter(self, work: TaskWork) -> None:
        """An attempt at a task begins, here."""
        self._entered[work.task_id, work.retries] = enter(work)

    def leave(self, task_id: str, retries: int) -> bool:
        """The attempt ends; return whether the task is one that is shown."""
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
        except ValueError:  # it has no such argument, so it is about no file
            return None


class TaskWork:
    """A task that runs here, as the file that is being worked on."""

    def __init__(self, worker: Worker, task_id: str, retries: int = 0) -> None:
        self._worker = worker
        self.task_id = task_id
        self.retries = retries
        self._shown: tuple[str, float] = ("", 0.0)

    def stage(self, stage: str, progress: float | None = None) -> None:
        """Show the stage; what comes sooner than 0.1 s after the same stage is left out, since it is sent on."""
        name, at = self._shown
        now = time.monotonic()
        if stage == name and now < at + STAGE_INTERVAL_SECONDS and progress != 1:
            return
        self._shown = (stage, now)
        self._worker.report(Kind.STAGE, self.task_id, value=[stage, progress], retries=self.retries)
