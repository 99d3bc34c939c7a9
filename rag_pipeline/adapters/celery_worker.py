"""One Celery worker: collects the reports of its main process and of the children that it forks."""

from __future__ import annotations

import os
from typing import Any

from rag_pipeline.adapters.celery_channel import ReportChannel
from rag_pipeline.adapters.celery_tracker import ReportKind, TaskReport, TaskTracker
from rag_pipeline.adapters.file_argument import File
from rag_pipeline.adapters.reporter import Reporter
from rag_pipeline.common import native
from rag_pipeline.status.pipeline import PipelineStatus

PIPELINE_TYPE = "celery"
END_SECONDS = 5.0
FLUSH_SECONDS = 1.0


class CeleryWorker:
    """The worker that this process is, or is a child of; before :meth:`begin` it reports nothing."""

    def __init__(self, status: PipelineStatus | None = None) -> None:
        self._status = status
        self.reporter = Reporter(PIPELINE_TYPE, status)
        self._parent: int | None = None
        self._is_ready = False
        self._channel: ReportChannel | None = None
        self._tracker = TaskTracker(self.reporter)
        self._lock = native.RLock()  # protects the tracker if tasks run in threads of this process
        self._thread: native.NativeThread | None = None

    @property
    def begun(self) -> bool:
        """Whether this process belongs to a worker."""
        return self._parent is not None

    @property
    def is_parent(self) -> bool:
        """Whether this is the worker's main process."""
        return self._parent == os.getpid()

    def begin(self, name: str) -> None:
        """Initialize the worker with this name, before it forks its children."""
        pipeline_id = os.environ.get("RAG_PIPELINE_ID", "").strip() or name
        self.reporter = Reporter(PIPELINE_TYPE, self._status, pipeline_id=pipeline_id)
        self._tracker = TaskTracker(self.reporter)
        self._parent = os.getpid()
        self._channel = ReportChannel()

    def ready(self, *, forks: bool) -> None:
        """Report the worker as running, and start to receive from its children if it forks any."""
        self._is_ready = True
        self.reporter.update(status="running")
        if forks and self._channel is not None:
            channel = self._channel
            self._thread = native.start_thread(lambda: channel.receive(self._take), "rag-pipeline-celery")

    def report(
        self, kind: ReportKind, task_id: str, file: File | None = None, value: Any = None, retries: int | None = None
    ) -> None:
        """Report an event of a task; with children, all reports go through the channel, which keeps their order."""
        report = TaskReport(kind, task_id, os.getpid(), file, value, retries)
        if self.is_parent and self._thread is None:
            with self._lock:
                self._tracker.take(report)
        elif self._channel is not None:
            self.reporter.attempt(self._channel.send, report.to_bytes())

    def after_fork(self) -> None:
        """Reset the channel in a child."""
        if self._channel is not None and not self.is_parent:
            self._channel.after_fork()

    def flush(self) -> None:
        """Before a child ends, wait a moment for its unsent messages."""
        if self._channel is not None and not self.is_parent:
            self._channel.flush(FLUSH_SECONDS)

    def end(self) -> None:
        """After the children have ended, apply their last reports, and report the worker as stopped."""
        if not self.is_parent or self._channel is None:
            return
        if self._thread is not None:
            self._channel.end()
            self._thread.join(END_SECONDS)
        if self._is_ready:  # else the worker was never reported as running
            self._is_ready = False
            self.reporter.update(status="stopped")
        channel, self._channel, self._thread = self._channel, None, None
        channel.close()

    def _take(self, message: bytes) -> None:
        self.reporter.attempt(lambda: self._tracker.take(TaskReport.from_bytes(message)))
