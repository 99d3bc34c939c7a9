"""One Celery worker: who takes its reports, from its main process and from the children it forks."""

from __future__ import annotations

import os
from typing import Any

from rag_pipeline.adapters.celery_channel import Channel
from rag_pipeline.adapters.celery_tracker import Desk, Kind, Report
from rag_pipeline.adapters.file_argument import File
from rag_pipeline.adapters.reporter import Reporter
from rag_pipeline.common import native
from rag_pipeline.status.pipeline import PipelineStatus

PIPELINE_TYPE = "celery"
END_SECONDS = 5.0
FLUSH_SECONDS = 1.0


class Worker:
    """The worker of this process, or whose child this process is; until it begins, nothing is shown."""

    def __init__(self, status: PipelineStatus | None = None) -> None:
        self._status = status
        self.reporter = Reporter(PIPELINE_TYPE, status)
        self._parent: int | None = None
        self._is_ready = False
        self._channel: Channel | None = None
        self._desk = Desk(self.reporter)
        self._lock = native.RLock()  # around the desk, where tasks run in threads of this process
        self._thread: native.NativeThread | None = None

    @property
    def begun(self) -> bool:
        """Whether this is a worker at all."""
        return self._parent is not None

    @property
    def is_parent(self) -> bool:
        """Whether this is the worker's main process."""
        return self._parent == os.getpid()

    def begin(self, name: str) -> None:
        """The worker of this name begins; its children are forked after that."""
        pipeline_id = os.environ.get("RAG_PIPELINE_ID", "").strip() or name
        self.reporter = Reporter(PIPELINE_TYPE, self._status, pipeline_id=pipeline_id)
        self._desk = Desk(self.reporter)
        self._parent = os.getpid()
        self._channel = Channel()

    def ready(self, *, forks: bool) -> None:
        """It takes tasks from now on: show it, and hear its children, if it has any."""
        self._is_ready = True
        self.reporter.update(status="running")
        if forks and self._channel is not None:
            channel = self._channel
            self._thread = native.start_thread(lambda: channel.receive(self._take), "rag-pipeline-celery")

    def report(
        self, kind: Kind, task_id: str, file: File | None = None, value: Any = None, retries: int | None = None
    ) -> None:
        """Show what has happened to a task; where there are children, all by way of the channel, for the order."""
        report = Report(kind, task_id, os.getpid(), file, value, retries)
        if self.is_parent and self._thread is None:
            with self._lock:
                self._desk.take(report)
        elif self._channel is not None:
            self.reporter.attempt(self._channel.send, report.to_bytes())

    def after_fork(self) -> None:
        """Start afresh in a child."""
        if self._channel is not None and not self.is_parent:
            self._channel.after_fork()

    def flush(self) -> None:
        """A child ends: give what still waits a moment."""
        if self._channel is not None and not self.is_parent:
            self._channel.flush(FLUSH_SECONDS)

    def end(self) -> None:
        """The worker ends, its children have ended: take what they still sent, and say that it is stopped."""
        if not self.is_parent or self._channel is None:
            return
        if self._thread is not None:
            self._channel.end()
            self._thread.join(END_SECONDS)
        if self._is_ready:  # else it never came so far as to be shown
            self._is_ready = False
            self.reporter.update(status="stopped")
        channel, self._channel, self._thread = self._channel, None, None
        channel.close()

    def _take(self, message: bytes) -> None:
        self.reporter.attempt(lambda: self._desk.take(Report.from_bytes(message)))
