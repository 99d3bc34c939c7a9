"""The state machine behind PipelineStatus: each mutation returns the event it makes; no lock, no I/O, no clock.

Arguments were checked by the caller, so that a mutation can't fail halfway.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any, NamedTuple

from rag_pipeline import events
from rag_pipeline.events import Event, Json
from rag_pipeline.status.files import FilesInFlight, Key, key_of
from rag_pipeline.status.model import FileBody, FileError, FileRecord, StateBody, Totals
from rag_pipeline.status.saved import SavedState
from rag_pipeline.status.stages import StageTimes
from rag_pipeline.status.throughput import Throughput

PROGRESS_INTERVAL_SECONDS = 0.12
"""Least time between two progress events of one file: with the last value on top still at most 10 a second."""

RELEASE_GRID_SECONDS = 0.01


class Moment(NamedTuple):
    """One instant on both clocks: wall-clock seconds for people, monotonic seconds for durations."""

    wall: float
    mono: float


class PipelineState:
    """Everything known of one pipeline."""

    def __init__(self, pipeline_id: str, pipeline_type: str | None, epoch: str, now: Moment) -> None:
        self.pipeline_id = pipeline_id
        self.pipeline_type = pipeline_type
        self.epoch = epoch
        self.seq = 0
        self.fields: Json = {
            "status": "initializing",
            "started_at": now.wall,
            "last_activity": None,
            "last_check_time": None,
            "next_check_time": None,
            "check_interval": None,
            "is_checking": False,
            "files_queued": None,
        }
        self.own: Json = {}
        self.totals = Totals()
        self.files = FilesInFlight()
        self.interrupted: tuple[FileRecord, ...] = ()
        self._completed: deque[FileRecord] = deque(maxlen=10)
        self._failed: deque[FileRecord] = deque(maxlen=5)
        self._skipped: deque[FileRecord] = deque(maxlen=5)
        self.times = StageTimes()
        self._throughput = Throughput()
        self._started: dict[Key, Moment] = {}
        self._progress_sent: dict[Key, float] = {}
        self._held: dict[Key, float] = {}

    def body(self, now: Moment) -> StateBody:
        """Return the state as it stands; costs the same however long the run."""
        rate = self._throughput.per_minute(now.mono)
        queued = self.fields["files_queued"]
        eta = None
        if queued is not None and rate:
            eta = round((queued + len(self.files)) * 60.0 / rate, 1)
        return StateBody(
            pipeline_id=self.pipeline_id,
            pipeline_type=self.pipeline_type,
            epoch=self.epoch,
            seq=self.seq,
            files_in_flight=len(self.files),
            files_processing=self.files.newest(),
            files_completed=tuple(self._completed),
            files_failed=tuple(self._failed),
            files_skipped=tuple(self._skipped),
            totals=self.totals,
            files_per_minute=rate,
            eta_seconds=eta,
            own=self.own,
            **self.fields,
        )

    def status_event(self, now: Moment, also: str | None = None) -> Event:
        """Return ``pipeline:status`` as of the current ``seq``; ``also`` is a type the pipeline had before."""
        return self._event(events.STATUS, self.body(now), now, also, numbered=False)

    def update(self, fields: Json, own: Json, pipeline_type: str | None, now: Moment) -> Event:
        """Set fields; a change of type is told in the old type's namespace too."""
        before, self.pipeline_type = self.pipeline_type, pipeline_type
        self._number(now)
        self.fields.update(fields)
        if own:
            # States that went out share the old mapping, so it is replaced, not changed.
            self.own = {**self.own, **own}
        return self._event(events.STATUS, self.body(now), now, before)

    def go_on(self, saved: SavedState, now: Moment) -> list[Event]:
        """Go on from what a journal knows of the pipeline; return the failures of what was in flight then.

        What this process has counted so far comes on top. If it has numbered any of it the epoch stays its own: no
        journal has these events, so that numbers which went on would hide them.
        """
        if self.seq == 0:
            self.epoch, self.seq = saved.epoch, saved.seq
        self.own = {**saved.own, **self.own}
        if self.fields["last_check_time"] is None:
            self.fields["last_check_time"] = saved.fields.get("last_check_time")
        done = self.totals
        self.totals = Totals(*(before + since for before, since in zip(saved.totals, done, strict=True)))
        for kept, before in (
            (self._completed, saved.completed), (self._failed, saved.failed), (self._skipped, saved.skipped)
        ):  # fmt: skip
            since = list(kept)
            kept.clear()
            kept.extend([*before, *since])
        for key, attempt in saved.failed_attempts:
            self.files.remember_failure(key, attempt)
        lost = [file for file in saved.in_flight if key_of(file.name, file.id) not in self.files]
        self.interrupted = tuple(file.finished(file.id, now.wall, None, None, _interruption(file)) for file in lost)
        return [self._interrupt(file, now) for file in self.interrupted]

    def _interrupt(self, file: FileRecord, now: Moment) -> Event:
        self.files.remember_failure(key_of(file.name, file.id), file.attempt)
        self._failed.append(file)
        self._count(failed=1)
        return self._file_event(events.FILE_FAILED, file, now, with_totals=True)

    def start_file(self, file: FileRecord, now: Moment) -> Event:
        """Put a file in flight; one that is in flight already starts over as a new attempt."""
        key = key_of(file.name, file.id)
        file = file.started(self.files.next_attempt(key), now.wall)
        self._held.pop(key, None)  # of the former attempt; when it was sent still counts for the limit
        self.files.start(key, file)
        self._started[key] = now
        self._throughput.started(now.mono)
        return self._file_event(events.FILE_STARTED, file, now)

    def progress(self, key: Key, stage: str, progress: float | None, now: Moment) -> Event | None:
        """Set a file's stage and fraction; None if the event is held back for the limit of 10 a second."""
        file = self.files[key]
        if file.stage != stage:
            self.times.enter(key, file.stage, now.mono)
        self.files.replace(key, file.in_stage(stage, progress, now.wall))
        self.fields["last_activity"] = now.wall
        sent = self._progress_sent.get(key)
        if sent is None or now.mono >= sent + PROGRESS_INTERVAL_SECONDS:
            return self._send_progress(key, now)
        if key not in self._held:
            # On a grid, so that the files of a wide pipeline are released together and not one by one.
            self._held[key] = (
                math.ceil((sent + PROGRESS_INTERVAL_SECONDS) / RELEASE_GRID_SECONDS) * RELEASE_GRID_SECONDS
            )
        return None

    def release(self, now: Moment) -> list[Event]:
        """Return the held-back progress events whose time has come."""
        ready = [key for key, due in self._held.items() if due <= now.mono]
        return [self._send_progress(key, now) for key in ready]

    def release_all(self, now: Moment) -> list[Event]:
        """Return all held-back progress events."""
        return [self._send_progress(key, now) for key in list(self._held)]

    def release_one(self, key: Key, now: Moment) -> Event | None:
        """Return the held-back progress event of one file, None if there is none."""
        return self._send_progress(key, now) if key in self._held else None

    def release_due(self, key: Key) -> float:
        """Return the monotonic time at which this file's held-back progress goes out."""
        return self._held[key]

    def started_token(self, key: Key) -> object:
        """Return an object that stands for this start of the file; None if it isn't in flight."""
        return self._started.get(key)

    def next_release(self) -> float | None:
        """Return the monotonic time at which the next held-back progress goes out."""
        return min(self._held.values(), default=None)

    def complete(self, key: Key | None, file: FileRecord, result: Any, error: FileError | None, now: Moment) -> Event:
        """Take a file out of flight as done, or as failed where there is an error."""
        known = key if key is not None else key_of(file.name, file.id)
        if error is not None and error.stage is None and key is not None:
            error = error._replace(stage=self.files[key].stage)
        file = self._finish(key, file, now, result, error)
        self._throughput.done(now.mono)
        if file.duration_seconds is not None:
            self.times.done(file.duration_seconds, failed=error is not None)
        if error is None:
            self.files.forget_failures(known)
            self._completed.append(file)
            self._count(processed=1)
            return self._file_event(events.FILE_COMPLETED, file, now, with_totals=True)
        self.files.remember_failure(known, file.attempt)
        self._failed.append(file)
        self._count(failed=1)
        return self._file_event(events.FILE_FAILED, file, now, with_totals=True)

    def skip(self, key: Key | None, file: FileRecord, reason: str, now: Moment) -> Event:
        """Count a file as done without work, started or not."""
        stage = None if key is None else self.files[key].stage
        self.files.forget_failures(key if key is not None else key_of(file.name, file.id))
        file = self._finish(key, file, now, error=FileError("Skipped", reason, stage, retryable=False))
        self._throughput.done(now.mono)
        self._skipped.append(file)
        self._count(skipped=1)
        return self._file_event(events.FILE_SKIPPED, file, now, with_totals=True)

    def delete(self, key: Key | None, file: FileRecord, now: Moment) -> Event:
        """Count a file whose source is gone; one in flight is in flight no more."""
        self.files.forget_failures(key if key is not None else key_of(file.name, file.id))
        file = self._finish(key, file, now)
        self._count(deleted=1)
        return self._file_event(events.FILE_DELETED, file, now, with_totals=True)

    def _finish(
        self, key: Key | None, file: FileRecord, now: Moment, result: Any = None, error: FileError | None = None
    ) -> FileRecord:
        if key is None:
            return file.finished(file.id, now.wall, None, result, error)
        known = self.files.pop(key)
        self._progress_sent.pop(key, None)
        self._held.pop(key, None)
        self.times.leave(key, known.stage, now.mono)
        duration = round(now.mono - self._started.pop(key).mono, 6)
        return known.finished(file.id or known.id, now.wall, duration, result, error)

    def _count(self, *, processed: int = 0, failed: int = 0, skipped: int = 0, deleted: int = 0) -> None:
        done = self.totals
        self.totals = Totals(done[0] + processed, done[1] + failed, done[2] + skipped, done[3] + deleted)

    def _send_progress(self, key: Key, now: Moment) -> Event:
        self._held.pop(key, None)
        self._progress_sent[key] = now.mono
        return self._file_event(events.FILE_PROGRESS, self.files[key], now)

    def _number(self, now: Moment) -> None:
        self.seq += 1
        self.fields["last_activity"] = now.wall

    def _file_event(self, name: str, file: FileRecord, now: Moment, *, with_totals: bool = False) -> Event:
        self._number(now)
        return self._event(name, FileBody(file, self.totals if with_totals else None), now)

    def _event(
        self, name: str, body: FileBody | StateBody, now: Moment, also: str | None = None, *, numbered: bool = True
    ) -> Event:
        namespaces = events.namespaces_of(self.pipeline_type, also)
        return Event(
            name, namespaces, self.pipeline_id, self.pipeline_type, self.epoch, self.seq, now.wall, body, numbered
        )


def _interruption(file: FileRecord) -> FileError:
    return FileError("Interrupted", "the process ended while the file was in flight", file.stage, retryable=True)
