"""What the pipeline says of itself as a whole: the status word, the checks, the queue."""

from __future__ import annotations

import time
from typing import Any

from rag_pipeline.config import RunMode
from rag_pipeline.pipelines.local_files import names
from rag_pipeline.pipelines.local_files.settings import LocalFilesSettings
from rag_pipeline.status import PipelineStatus

QUEUE_INTERVAL_SECONDS = 0.25


class Shown:
    """Keeps the fields of the status true, and says each thing once; used by the run loop's thread alone."""

    def __init__(self, status: PipelineStatus, settings: LocalFilesSettings) -> None:
        self._status = status
        self._settings = settings
        self._word = "initializing"
        self._last: dict[str, Any] = {}
        self._queue_shown = float("-inf")

    def starting(self, *, stored: int) -> None:
        """The pipeline gets ready."""
        once = self._settings.mode is RunMode.SINGLE
        self._status.update(
            status="initializing",
            folder=names.display_name(self._settings.folder),
            files_stored=stored,
            check_interval=None if once else self._settings.check_interval_seconds,
        )

    def scanning(self) -> None:
        """A scan begins; while files are worked on the word stays ``processing``, and in trouble ``error``."""
        if self._word not in ("processing", "error"):
            self._word = "scanning"
        self._status.update(status=self._word, is_checking=True)

    def scanned(self, wait_seconds: float, *, watching: str | None, error: str | None) -> None:
        """A scan has ended; the next one comes after ``wait_seconds`` at the latest."""
        now = time.time()
        if error is not None:
            self._word = "error"
        elif self._word == "error":
            self._word = "scanning"
        once = self._settings.mode is RunMode.SINGLE
        self._status.update(
            status=self._word,
            is_checking=False,
            last_check_time=now,
            next_check_time=None if once else now + wait_seconds,
            watching=watching,
            message=error,
            **({"files_queued": 0} if error is not None else {}),
        )

    def progress(self, *, idle: bool, queued: int, stored: int) -> None:
        """Show the queue, at most four times a second, and at once when the work begins or ends."""
        word = "idle" if idle else "processing"
        fields = {"files_queued": queued, "files_stored": stored}
        now = time.monotonic()
        if word == self._word and (fields == self._last or now - self._queue_shown < QUEUE_INTERVAL_SECONDS):
            return
        self._word = word
        self._last = fields
        self._queue_shown = now
        self._status.update(status=word, **fields)

    def stopped(self) -> None:
        """The pipeline has ended in order."""
        self._status.update(status="stopped", is_checking=False, next_check_time=None)

    def error(self, message: str) -> None:
        """The pipeline can't go on."""
        self._status.update(status="error", is_checking=False, next_check_time=None, message=message)
