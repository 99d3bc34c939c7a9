"""Reports Celery tasks, by means of Celery's signals. In the module of the app::

    from rag_pipeline.adapters.celery import show; show(app)

Each worker is one pipeline with the worker's name. Its main process runs the service; child processes of a prefork
worker report to it over a socket pair, so one service is enough for all of them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from rag_pipeline.adapters.celery_task_files import RunningTask, TaskFiles
from rag_pipeline.adapters.celery_tracker import WORKER_LOST, ReportKind
from rag_pipeline.adapters.celery_worker import CeleryWorker
from rag_pipeline.adapters.file_argument import Choice
from rag_pipeline.adapters.libraries import require_library
from rag_pipeline.adapters.reporter import displayable, error_fields
from rag_pipeline.status.pipeline import PipelineStatus

require_library("celery", "celery", "celery")

from celery import signals, states  # noqa: E402 - after the check that it is installed


def show(app: Any = None, *, file: Choice = None, status: PipelineStatus | None = None) -> None:
    """Report the tasks of this app, or of every app of the process, from now on.

    ``file`` is the name of the argument that names a task's file, or a function of the task's arguments that returns a
    name, a File or None. The default is the first argument that is a path or a short text. A task without a file is not
    reported. Reports go to ``status`` if it is given; then you start the service yourself. Only workers report: a
    process that sends tasks does nothing, nor do tasks that run eagerly.
    """
    worker = CeleryWorker(status)
    _Signals(worker, TaskFiles(app, file)).connect()


class _Signals:
    """The signal handlers. Signals of tasks arrive in the process and thread that run the task."""

    def __init__(self, worker: CeleryWorker, tasks: TaskFiles) -> None:
        self._worker = worker
        self._tasks = tasks

    def connect(self) -> None:
        """Connect all handlers. Celery keeps one per ``dispatch_uid``, so a second call replaces the first."""
        for signal, handler in (
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
            uid = f"rag_pipeline.{handler.__name__}"
            signal.disconnect(dispatch_uid=uid)
            signal.connect(self._guarded(handler), weak=False, dispatch_uid=uid)

    def _guarded(self, handler: Callable[..., None]) -> Callable[..., None]:
        def guarded(**arguments: Any) -> None:
            self._worker.reporter.attempt(handler, **arguments)

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
        file = self._tasks.file(task, args, kwargs)
        if file is not None:
            retries = task.request.retries
            self._worker.report(ReportKind.STARTED, task_id, file, retries=retries)
            self._tasks.enter(RunningTask(self._worker, task_id, retries))

    def _postrun(self, task: Any, task_id: str, state: str | None, retval: Any, **_: Any) -> None:
        retries = task.request.retries
        if not self._tasks.leave(task_id, retries):
            return
        if state == states.SUCCESS:
            self._worker.report(ReportKind.COMPLETED, task_id, value=displayable(retval), retries=retries)
        elif state == states.IGNORED:
            self._worker.report(ReportKind.SKIPPED, task_id, value="the task was ignored", retries=retries)
        elif state is not None or not _exits_by_signal():  # else the main process reports the reason: it was revoked
            self._worker.report(ReportKind.FAILED, task_id, value=_error(state, retval), retries=retries)

    def _failure(self, sender: Any, task_id: str, exception: BaseException, args: Any, kwargs: Any, **_: Any) -> None:
        """Report a failure that the task's own process could not: it was lost, or the hard time limit has passed."""
        if self._worker.is_parent:
            file = self._tasks.file(sender, args, kwargs)
            self._worker.report(ReportKind.FAILED, task_id, file, error_fields(exception))

    def _revoked(self, sender: Any, request: Any, terminated: bool, expired: bool, **_: Any) -> None:
        if not self._worker.is_parent:
            return
        file = self._tasks.file(sender, request.args or (), request.kwargs or {})
        if terminated:
            error = {"type": "Terminated", "message": "the task was revoked while it ran"}
            self._worker.report(ReportKind.FAILED, request.id, file, error)
        else:
            self._worker.report(ReportKind.SKIPPED, request.id, file, "expired" if expired else "revoked")


def _error(state: str | None, value: Any) -> dict[str, Any]:
    """Return the error of a failed task."""
    if state == states.RETRY:
        cause = getattr(value, "exc", None)
        return error_fields(cause if isinstance(cause, BaseException) else value, retryable=True)
    if state == states.REJECTED:
        return {"type": "Reject", "message": str(value.reason or "rejected"), "retryable": bool(value.requeue)}
    # For a BaseException such as SystemExit, Celery passes no value: it is still propagating.
    error = value if isinstance(value, BaseException) else sys.exc_info()[1]
    return dict(WORKER_LOST) if error is None else error_fields(error)


def _exits_by_signal() -> bool:
    """Return whether the propagating exception is the one by which Celery's children exit on a signal."""
    error = sys.exc_info()[1]
    return isinstance(error, SystemExit) and isinstance(error.code, int) and error.code < 0
