"""Celery's tasks, shown through Celery's own signals.

This is the one line, in the module of the app::

    from rag_pipeline.adapters.celery import show; show(app)

Each worker is one pipeline, of the worker's name. Its main process shows it; where tasks run in children, those report
to it over a pair of sockets, so that a prefork worker needs one service, and not one for each child.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from rag_pipeline.adapters.celery_task_files import Tasks, TaskWork
from rag_pipeline.adapters.celery_tracker import LOST, Kind
from rag_pipeline.adapters.celery_worker import Worker
from rag_pipeline.adapters.file_argument import Choice
from rag_pipeline.adapters.libraries import need
from rag_pipeline.adapters.reporter import described, small
from rag_pipeline.status.pipeline import PipelineStatus

need("celery", "celery", "celery")

from celery import signals, states  # noqa: E402 - after the line that says what is missing


def show(app: Any = None, *, file: Choice = None, status: PipelineStatus | None = None) -> None:
    """Show what the workers of this app, or of every app of the process, do from now on.

    ``file`` is the name of the argument that names a task's file, or a function of the task's arguments that returns a
    name, a File or None; without it the first argument that is a path or a short text does. A task without a file is
    not shown. Reports go to ``status`` if that is given, which you serve yourself. Only workers show anything: in a
    process that merely sends tasks, and for tasks that run eagerly, nothing happens.
    """
    worker = Worker(status)
    _Signals(worker, Tasks(app, file)).connect()


class _Signals:
    """What each of Celery's signals says; those of tasks come in the process, and thread, that runs the task."""

    def __init__(self, worker: Worker, tasks: Tasks) -> None:
        self._worker = worker
        self._tasks = tasks

    def connect(self) -> None:
        """Listen; Celery keeps one listener of each id, so that a second call takes the place of the first."""
        for signal, listener in (
            (signals.worker_init, self._init),
            (signals.worker_ready, self._ready),
            (signals.worker_shutdown, self._shutdown),
            (signals.worker_process_init, self._process_init),
            (signals.worker_process_shutdown, self._process_shutdown),
            (signals.task_prerun, self._prerun),
            (signals.task_postrun, self._postrun),
            (signals.task_failure, self._failure),
            (signals.task_revoked, self._revoked),
        ):
            uid = f"rag_pipeline.{listener.__name__}"
            signal.disconnect(dispatch_uid=uid)
            signal.connect(self._guarded(listener), weak=False, dispatch_uid=uid)

    def _guarded(self, listener: Callable[..., None]) -> Callable[..., None]:
        def guarded(**arguments: Any) -> None:
            self._worker.reporter.attempt(listener, **arguments)

        return guarded

    def _init(self, sender: Any, **_: Any) -> None:
        self._worker.begin(str(sender.hostname))

    def _ready(self, sender: Any, **_: Any) -> None:
        self._worker.ready(forks=type(sender.pool).__module__ == "celery.concurrency.prefork")

    def _shutdown(self, **_: Any) -> None:
        self._worker.end()

    def _process_init(self, **_: Any) -> None:
        self._worker.after_fork()

    def _process_shutdown(self, **_: Any) -> None:
        self._worker.flush()

    def _prerun(self, task: Any, task_id: str, args: Any, kwargs: Any, **_: Any) -> None:
        if not self._worker.begun or task.request.is_eager:
            return
        found = self._tasks.file(task, args, kwargs)
        if found is not None:
            retries = task.request.retries
            self._worker.report(Kind.STARTED, task_id, found, retries=retries)
            self._tasks.enter(TaskWork(self._worker, task_id, retries))

    def _postrun(self, task: Any, task_id: str, state: str | None, retval: Any, **_: Any) -> None:
        retries = task.request.retries
        if not self._tasks.leave(task_id, retries):
            return
        if state == states.SUCCESS:
            self._worker.report(Kind.COMPLETED, task_id, value=small(retval), retries=retries)
        elif state == states.IGNORED:
            self._worker.report(Kind.SKIPPED, task_id, value="the task was ignored", retries=retries)
        elif state is not None or not _is_ended_by_a_signal():  # else the main process knows why: it was revoked
            self._worker.report(Kind.FAILED, task_id, value=_error(state, retval), retries=retries)

    def _failure(self, sender: Any, task_id: str, exception: BaseException, args: Any, kwargs: Any, **_: Any) -> None:
        """A task has failed without a word of its own: its process was lost, or its time was up."""
        if self._worker.is_parent:
            found = self._tasks.file(sender, args, kwargs)
            self._worker.report(Kind.FAILED, task_id, found, described(exception))

    def _revoked(self, sender: Any, request: Any, terminated: bool, expired: bool, **_: Any) -> None:
        if not self._worker.is_parent:
            return
        found = self._tasks.file(sender, request.args or (), request.kwargs or {})
        if terminated:
            error = {"type": "Terminated", "message": "the task was revoked while it ran"}
            self._worker.report(Kind.FAILED, request.id, found, error)
        else:
            self._worker.report(Kind.SKIPPED, request.id, found, "expired" if expired else "revoked")


def _error(state: str | None, value: Any) -> dict[str, Any]:
    """Return what a failed task shows of its end."""
    if state == states.RETRY:
        cause = getattr(value, "exc", None)
        return described(cause if isinstance(cause, BaseException) else value, retryable=True)
    if state == states.REJECTED:
        return {"type": "Reject", "message": str(value.reason or "rejected"), "retryable": bool(value.requeue)}
    # What is no Exception, such as SystemExit, has no state: it is on its way through.
    error = value if isinstance(value, BaseException) else sys.exc_info()[1]
    return dict(LOST) if error is None else described(error)


def _is_ended_by_a_signal() -> bool:
    """Return whether what is on its way through is how Celery's children exit when a signal ends them."""
    error = sys.exc_info()[1]
    return isinstance(error, SystemExit) and isinstance(error.code, int) and error.code < 0
