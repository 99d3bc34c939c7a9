"""Reports the state of the pipeline as a whole: the status word, the checks, the queue, a pause."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from rag_pipeline.common.config import RunMode
from rag_pipeline.contract.events import iso
from rag_pipeline.sources.following.circuit_breakers import OpenCircuit
from rag_pipeline.status.pipeline import PipelineStatus

QUEUE_INTERVAL_SECONDS = 0.25
LONG_SCAN_SECONDS = 1.0
"""Only a scan that takes longer is shown while it runs."""


class StatusReporter:
    """Keeps the fields of the status up to date and sets only those that change; used by the run loop's thread only.

    A scan that finds nothing new changes only the times of the checks, so an idle folder adds no entries to a journal.
    """

    def __init__(self, status: PipelineStatus, mode: RunMode, check_interval_seconds: float) -> None:
        self._status = status
        self._single = mode is RunMode.SINGLE
        self._check_interval_seconds = check_interval_seconds
        self._paused = False
        self._open_circuit: OpenCircuit | None = None
        self._held_message: str | None = None  # about held deletions
        self._shown: dict[str, object] = {}
        self._scan_began: float | None = None  # of a scan that is not shown yet
        self._queue_shown_at = float("-inf")

    def starting(self, source_fields: Mapping[str, object], *, stored: int) -> None:
        """Show that the pipeline starts, with the fields of its source."""
        self._show(
            status="initializing",
            check_interval=None if self._single else self._check_interval_seconds,
            own={"files_stored": stored, "paused_since": None, "deletions_held": None, **source_fields},
        )

    def scan_started(self) -> None:
        """Show the first scan at once; later ones are shown by :meth:`scan_continues`.

        The status word of a pipeline that is working, idle or in error stays.
        """
        if self._word in ("initializing", "scanning"):
            self._show(status="scanning", is_checking=True)
        else:
            self._scan_began = time.monotonic()

    def scan_continues(self) -> None:
        """Show a scan that takes long; call it often while the scan runs."""
        if self._scan_began is not None and time.monotonic() - self._scan_began >= LONG_SCAN_SECONDS:
            self._scan_began = None
            self._show(is_checking=True)

    def scan_ended(self, source_fields: Mapping[str, object], wait_seconds: float, *, watching: str | None) -> None:
        """Show the end of a scan; the next one starts within ``wait_seconds``."""
        word = self._word
        if self._alarm is not None:
            word = "error"
        elif word == "error":
            word = "scanning"
        own = {"watching": watching, "message": self._alarm, **source_fields}
        self._show_check(wait_seconds, own, status=word, last_check_time=time.time())

    def deletions_held(self, count: int, message: str | None) -> None:
        """Show how many deletions are held; the message follows with the end of the scan."""
        self._held_message = message
        self._show(own={"deletions_held": count or None})

    def unavailable(self, message: str, wait_seconds: float, *, watching: str | None, checked: bool) -> None:
        """Show that the source is unavailable; ``checked`` if a scan, not a download, found it out."""
        times = {"last_check_time": time.time()} if checked else {}
        own = {"watching": watching, "message": message}
        self._show_check(wait_seconds, own, status="error", files_queued=0, **times)

    def set_open_circuit(self, circuit: OpenCircuit | None) -> None:
        """Set the dependency that fails now, None if all work."""
        before, self._open_circuit = self._open_circuit, circuit
        if circuit is None and before is not None:
            self._show(own={"message": self._alarm, "next_try_time": None})

    def paused(self, since: float) -> None:
        """Show a pause: no file and no scan starts; files in flight go on."""
        self._paused = True
        self._scan_began = None
        own = {"paused_since": iso(since), "message": self._held_message}
        self._show(status="paused", is_checking=False, next_check_time=None, own=own)

    def resumed(self) -> None:
        """Show the end of a pause; a scan follows."""
        self._paused = False
        self._show(status="scanning", own={"paused_since": None})

    def progress(self, *, idle: bool, queued: int, stored: int) -> None:
        """Show the queue, at most four times a second, and at once when work begins or ends."""
        word = "idle" if idle else "processing"
        if self._paused or self._alarm is not None:
            word = "paused" if self._paused else "error"
        own: dict[str, object] = {"files_stored": stored}
        if self._open_circuit is not None and not self._paused:
            own |= {"message": self._open_circuit.message, "next_try_time": iso(self._open_circuit.next_try_time)}
        now = time.monotonic()
        if word == self._word and now - self._queue_shown_at < QUEUE_INTERVAL_SECONDS:
            return
        if self._show(status=word, files_queued=queued, own=own):
            self._queue_shown_at = now

    def stored(self, count: int) -> None:
        """Show how many files are stored while the source is unavailable: files in flight go on."""
        self._show(own={"files_stored": count})

    def stopped(self) -> None:
        """Show that the pipeline has stopped in order."""
        own: dict[str, object] = {"paused_since": None, "deletions_held": None}
        if self._held_message is not None:
            own["message"] = None
        self._show(status="stopped", is_checking=False, next_check_time=None, own=own)

    def error(self, message: str) -> None:
        """Show the error that has ended the pipeline."""
        own = {"paused_since": None, "message": message, "next_try_time": None}
        self._show(status="error", is_checking=False, next_check_time=None, own=own)

    @property
    def _alarm(self) -> str | None:
        """The message that needs a person's attention: a dependency fails, or deletions are held."""
        return self._held_message if self._open_circuit is None else self._open_circuit.message

    @property
    def _word(self) -> object:
        return self._shown.get("status", "initializing")

    def _show_check(self, wait_seconds: float, own: Mapping[str, object], **fields: Any) -> None:
        self._scan_began = None
        next_check_time = None if self._single else time.time() + wait_seconds
        self._show(is_checking=False, next_check_time=next_check_time, own=own, **fields)

    def _show(self, *, own: Mapping[str, object] | None = None, **fields: Any) -> bool:
        """Set the fields that differ from what is shown; return whether there were any."""
        new_fields, new_own = self._changed(fields), self._changed(own or {})
        if new_own:
            self._status.update(own=new_own, **new_fields)
        elif new_fields:
            self._status.update(**new_fields)
        return bool(new_own or new_fields)

    def _changed(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        changed = {key: value for key, value in fields.items() if key not in self._shown or self._shown[key] != value}
        self._shown |= changed
        return changed
