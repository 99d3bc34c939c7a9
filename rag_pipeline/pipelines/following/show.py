"""What the pipeline says of itself as a whole: the status word, the checks, the queue, a pause."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from rag_pipeline.config import RunMode
from rag_pipeline.events import iso
from rag_pipeline.status import PipelineStatus

QUEUE_INTERVAL_SECONDS = 0.25


class Shown:
    """Keeps the fields of the status true, and says each thing once; used by the run loop's thread alone."""

    def __init__(self, status: PipelineStatus, mode: RunMode, check_interval_seconds: float) -> None:
        self._status = status
        self._once = mode is RunMode.SINGLE
        self._check_interval_seconds = check_interval_seconds
        self._word = "initializing"
        self._paused = False
        self._last: dict[str, Any] = {}
        self._queue_shown = float("-inf")

    def starting(self, about: Mapping[str, object], *, stored: int) -> None:
        """The pipeline gets ready; ``about`` is what the source says of itself."""
        self._last = {"files_stored": stored}
        self._status.update(
            status="initializing",
            check_interval=None if self._once else self._check_interval_seconds,
            own={"files_stored": stored, "paused_since": None, **about},
        )

    def looking(self) -> None:
        """A look begins; while files are worked on the word stays ``processing``, and in trouble ``error``."""
        if self._word not in ("processing", "error"):
            self._word = "scanning"
        self._status.update(status=self._word, is_checking=True)

    def looked(self, about: Mapping[str, object], wait_seconds: float, *, watching: str | None) -> None:
        """A look has ended; the next one comes after ``wait_seconds`` at the latest."""
        if self._word == "error":
            self._word = "scanning"
        own = {"watching": watching, "message": None, **about}
        self._checked(wait_seconds, own, last_check_time=time.time())

    def unavailable(self, message: str, wait_seconds: float, *, watching: str | None, checked: bool) -> None:
        """Nothing can be seen, or fetched if that was found without a check; it is tried again."""
        self._word = "error"
        seen = {"last_check_time": time.time()} if checked else {}
        self._checked(wait_seconds, {"watching": watching, "message": message}, files_queued=0, **seen)

    def paused(self, since: float) -> None:
        """No file is begun and no check is made; what is in flight goes on."""
        self._paused = True
        self._word = "paused"
        self._status.update(
            status="paused",
            is_checking=False,
            next_check_time=None,
            own={"paused_since": iso(since), "message": None},
        )

    def resumed(self) -> None:
        """It goes on, with a check."""
        self._paused = False
        self._word = "scanning"
        self._status.update(status=self._word, own={"paused_since": None})

    def progress(self, *, idle: bool, queued: int, stored: int) -> None:
        """Show the queue, at most four times a second, and at once when the work begins or ends."""
        word = "paused" if self._paused else "idle" if idle else "processing"
        fields = {"files_queued": queued, "files_stored": stored}
        now = time.monotonic()
        if word == self._word and (fields == self._last or now - self._queue_shown < QUEUE_INTERVAL_SECONDS):
            return
        self._word = word
        self._last = fields
        self._queue_shown = now
        self._status.update(status=word, files_queued=queued, own={"files_stored": stored})

    def stored(self, count: int) -> None:
        """Show how many files are stored where nothing else can be told: what is in flight goes on to its end."""
        if count != self._last.get("files_stored"):
            self._last = {**self._last, "files_stored": count}
            self._status.update(own={"files_stored": count})

    def stopped(self) -> None:
        """The pipeline has ended in order."""
        self._status.update(status="stopped", is_checking=False, next_check_time=None, own={"paused_since": None})

    def error(self, message: str) -> None:
        """The pipeline can't go on."""
        own = {"paused_since": None, "message": message}
        self._status.update(status="error", is_checking=False, next_check_time=None, own=own)

    def _checked(self, wait_seconds: float, own: Mapping[str, object], **fields: Any) -> None:
        next_check_time = None if self._once else time.time() + wait_seconds
        self._status.update(status=self._word, is_checking=False, next_check_time=next_check_time, own=own, **fields)
