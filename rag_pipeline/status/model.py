"""Immutable records that make up a pipeline's state, each with its JSON."""

from __future__ import annotations

from typing import Any, NamedTuple

from rag_pipeline.contract import wire
from rag_pipeline.contract.events import Json, iso
from rag_pipeline.status.outcomes import PROCESSED, WARNED


class FileFailure(NamedTuple):
    """Why a file failed, or was skipped (``type`` is ``Skipped`` then)."""

    type: str
    message: str
    stage: str | None
    retryable: bool

    def to_json(self) -> wire.FileError:
        """Return the failure as users see it."""
        return {"type": self.type, "message": self.message, "stage": self.stage, "retryable": self.retryable}


class FileWarning(NamedTuple):
    """A fault of a completed file that did not stop the work."""

    type: str
    message: str
    cases: int = 1

    def to_json(self) -> wire.FileWarning:
        """Return the warning as users see it."""
        return {"type": self.type, "message": self.message, "count": self.cases}


class FileRecord(NamedTuple):
    """One file. Times are wall-clock seconds; ``duration_seconds`` is measured by a monotonic clock."""

    name: str
    id: str | None
    size: int | None = None
    mime_type: str | None = None
    link: str | None = None
    attempt: int = 1
    started_at: float | None = None
    stage: str | None = None
    progress: float | None = None
    last_progress_at: float | None = None
    completed_at: float | None = None
    duration_seconds: float | None = None
    result: Any = None
    error: FileFailure | None = None
    warnings: tuple[FileWarning, ...] = ()
    quality: wire.Quality | None = None

    # _replace() would do for these methods, but at six times the cost, in every mutation.

    def started(self, attempt: int, at: float) -> FileRecord:
        """Return the file put in flight."""
        return tuple.__new__(FileRecord, (*self[:5], attempt, at, *_NOT_BEGUN))

    def in_stage(self, stage: str, progress: float | None, at: float) -> FileRecord:
        """Return the file in flight with this stage and fraction."""
        return tuple.__new__(FileRecord, (*self[:7], stage, progress, at, *_NOT_ENDED))

    def finished(
        self,
        file_id: str | None,
        at: float,
        duration: float | None,
        result: Any,
        error: FileFailure | None,
        warnings: tuple[FileWarning, ...] = (),
        quality: wire.Quality | None = None,
    ) -> FileRecord:
        """Return the file taken out of flight."""
        ended = (self[0], file_id, *self[2:10], at, duration, result, error, warnings, quality)
        return tuple.__new__(FileRecord, ended)

    def to_json(self) -> wire.File:
        """Return the file as users see it; the result is shared, not copied."""
        return {
            "name": self.name,
            "id": self.id,
            "size": self.size,
            "mime_type": self.mime_type,
            "link": self.link,
            "attempt": self.attempt,
            "started_at": iso(self.started_at),
            "stage": self.stage,
            "progress": self.progress,
            "last_progress_at": iso(self.last_progress_at),
            "completed_at": iso(self.completed_at),
            "duration_seconds": self.duration_seconds,
            "result": self.result,
            "error": None if self.error is None else self.error.to_json(),
            "warnings": [warning.to_json() for warning in self.warnings] if self.warnings else [],
            "quality": self.quality,
        }


_NOT_ENDED = (*(None,) * 4, (), None)
_NOT_BEGUN = (*(None,) * 3, *_NOT_ENDED)


class FileTotals(NamedTuple):
    """Counts of files by newest outcome, since the pipeline's first file; in the order of the outcomes.

    The last one counts a part of the first: the completed files that have warnings.
    """

    total_processed: int = 0
    total_failed: int = 0
    total_skipped: int = 0
    total_deleted: int = 0
    total_with_warnings: int = 0

    def moved(self, former: int, outcome: int) -> FileTotals:
        """Return the counts after a file moved from one outcome to another; 0 is no outcome."""
        counts = [*self]
        if former:
            counts[former - 1] -= 1
            if former == WARNED:
                counts[PROCESSED - 1] -= 1
        if outcome:
            counts[outcome - 1] += 1
            if outcome == WARNED:
                counts[PROCESSED - 1] += 1
        return tuple.__new__(FileTotals, counts)

    def to_json(self) -> wire.Totals:
        """Return the counts as users see them."""
        return {
            "total_processed": self.total_processed,
            "total_failed": self.total_failed,
            "total_skipped": self.total_skipped,
            "total_deleted": self.total_deleted,
            "total_with_warnings": self.total_with_warnings,
        }


class FileBody(NamedTuple):
    """Body of a file event: the file, and the totals if the event changed them."""

    file: FileRecord
    totals: FileTotals | None = None

    def to_json(self, at: float) -> Json:  # noqa: ARG002 - the protocol's signature
        """Return ``file``, and ``totals`` if present."""
        if self.totals is None:
            return {"file": self.file.to_json()}
        return {"file": self.file.to_json(), "totals": self.totals.to_json()}


class StateBody(NamedTuple):
    """Body of ``pipeline:status``: the whole state at one moment."""

    pipeline_id: str | None
    pipeline_type: str | None
    status: str
    epoch: str | None
    seq: int
    started_at: float | None
    last_activity: float | None
    last_check_time: float | None
    next_check_time: float | None
    check_interval: float | None
    is_checking: bool
    files_in_flight: int
    files_processing: tuple[FileRecord, ...]
    files_completed: tuple[FileRecord, ...]
    files_failed: tuple[FileRecord, ...]
    files_skipped: tuple[FileRecord, ...]
    totals: FileTotals
    files_queued: int | None
    files_per_minute: float | None
    eta_seconds: float | None
    own: Json
    attempts: FileTotals = FileTotals()
    """Attempts that this process ended, by outcome; not part of the JSON."""

    def to_json(self, at: float) -> Json:
        """Return the state as users see it; ``seconds_until_next_check`` counts from ``at``."""
        wait = None if self.next_check_time is None else round(max(0.0, self.next_check_time - at), 3)
        state: wire.State = {
            "pipeline_id": self.pipeline_id,
            "pipeline_type": self.pipeline_type,
            "status": self.status,
            "epoch": self.epoch,
            "seq": self.seq,
            "started_at": iso(self.started_at),
            "last_activity": iso(self.last_activity),
            "last_check_time": iso(self.last_check_time),
            "next_check_time": iso(self.next_check_time),
            "seconds_until_next_check": wait,
            "check_interval": self.check_interval,
            "is_checking": self.is_checking,
            "files_in_flight": self.files_in_flight,
            "files_processing": [f.to_json() for f in self.files_processing],
            "files_completed": [f.to_json() for f in self.files_completed],
            "files_failed": [f.to_json() for f in self.files_failed],
            "files_skipped": [f.to_json() for f in self.files_skipped],
            **self.totals.to_json(),
            "files_queued": self.files_queued,
            "files_per_minute": self.files_per_minute,
            "eta_seconds": self.eta_seconds,
        }
        return {**state, **self.own}


RESERVED_FIELDS = (
    frozenset(StateBody._fields) - {"own", "totals", "attempts"}
    | set(FileTotals._fields)
    | {"seconds_until_next_check", "timestamp", "pipelines", "offset", "recovered", "gap"}
)
"""The names of the state's fields, and of the fields beside it in events and answers."""
