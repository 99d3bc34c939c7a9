"""PipelineStatus: the calls a pipeline makes. Checks their arguments; the core does the rest."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from os import PathLike
from typing import TYPE_CHECKING, Any
from uuid import UUID

from rag_pipeline.common import logs
from rag_pipeline.common.config import check_pipeline_id
from rag_pipeline.contract.events import Json
from rag_pipeline.status import checks, values
from rag_pipeline.status.arguments import Arguments
from rag_pipeline.status.control import Control
from rag_pipeline.status.core import MergeOwn, StatusCore
from rag_pipeline.status.model import RESERVED_FIELDS, FileError, FileRecord
from rag_pipeline.status.outcomes import DELETED, FAILED, PROCESSED, SKIPPED
from rag_pipeline.status.processing import Processing
from rag_pipeline.status.registry import registry

logger = logging.getLogger("rag_pipeline.status")

MAX_WARNINGS = 20

Name = str | PathLike[str] | int | UUID
"""What names a file, or is its id."""
Time = datetime | str | float | None

_UNSET: Any = object()
_CHECKS: dict[str, Callable[[str, object], Any]] = {
    "status": checks.check_label,
    "started_at": checks.check_time,
    "last_activity": checks.check_time,
    "last_check_time": checks.check_time,
    "next_check_time": checks.check_time,
    "check_interval": checks.check_number,
    "is_checking": checks.check_bool,
    "files_queued": checks.check_count,
    "seconds_until_next_check": checks.check_wait,
}


class PipelineStatus:
    """The live state of one pipeline; every call is safe from any thread, task or greenlet and never waits for I/O.

    Without ``pipeline_id`` the id is ``RAG_PIPELINE_ID`` or ``<type>-<host name>``, assigned by the first call that
    changes the state. An id that another instance of this process has passes to the new one.

    No call raises for its arguments: a value that can't be shown is left out, and logged once for its kind. With
    ``STATUS_STRICT=1`` calls raise TypeError or ValueError instead, and change nothing.
    """

    def __init__(self, pipeline_type: str | None = None, pipeline_id: str | None = None) -> None:
        if pipeline_type is not None:
            pipeline_type = checks.check_type("pipeline_type", pipeline_type)
        if pipeline_id is not None:
            pipeline_id = check_pipeline_id("pipeline_id", checks.check_label("pipeline_id", pipeline_id))
        self._begin(StatusCore(pipeline_type, pipeline_id))
        if pipeline_id is not None:
            self._take_over(pipeline_id)
        registry.announce(self._core)

    def _begin(self, core: StatusCore) -> None:
        self._core = core
        self._take = Arguments(lambda: core.pipeline_id)
        self._warned: set[str] = set()

    def _take_over(self, pipeline_id: str) -> None:
        former = registry.claim(self._core, pipeline_id)
        if former is not None:
            former.close()
            logger.warning(
                "pipeline id %r passed to a new PipelineStatus; the older one is shown no more",
                pipeline_id,
                extra=logs.about(pipeline_id),
            )

    def __repr__(self) -> str:
        body = self._core.snapshot()
        done = f"{body.totals.total_processed} processed, {body.totals.total_failed} failed"
        return f"<PipelineStatus {body.pipeline_id!r} {body.status}: {body.files_in_flight} in flight, {done}>"

    if TYPE_CHECKING:
        # For type checkers and editors: a misspelled field is an error there. At run time any keyword will do.
        def update(
            self,
            *,
            status: str = ...,
            pipeline_type: str | None = ...,
            started_at: datetime | str | float = ...,
            last_activity: Time = ...,
            last_check_time: Time = ...,
            next_check_time: Time = ...,
            seconds_until_next_check: float | None = ...,
            check_interval: float | None = ...,
            is_checking: bool = ...,
            files_queued: int | None = ...,
            own: Mapping[str, Any] = ...,
        ) -> None:
            """Set fields of the state and emit ``pipeline:status``.

            Times are datetimes, ISO 8601 strings or seconds since 1970. ``own`` holds fields of the pipeline's own:
            anything JSON can express, None to remove one. At run time they may be given as keywords, too.
            """
    else:

        def update(self, /, **fields):
            """Set fields of the state and emit ``pipeline:status``.

            Times are datetimes, ISO 8601 strings or seconds since 1970. ``own`` holds fields of the pipeline's own:
            anything JSON can express, None to remove one. They may be given as keywords, too.
            """
            self._update(fields)

    def _update(self, fields: Json) -> None:
        known: Json = {}
        own: Json = {}
        new_type: tuple[str | None] | None = None
        given_own = fields.get("own")
        if isinstance(given_own, Mapping):
            fields = {**{key: value for key, value in fields.items() if key != "own"}, **given_own}
        for key, value in fields.items():
            if key == "pipeline_type":
                for kind in (None,) if value is None else self._take.field(checks.check_type, key, value):
                    new_type = (kind,)
            elif key in _CHECKS:
                for checked_value in self._take.field(_CHECKS[key], key, value):
                    self._set_known(known, key, checked_value)
            elif key in RESERVED_FIELDS:
                self._take.refuse(key, ValueError(f"{key} is computed by the service and can't be set"))
            else:
                self._set_own(own, key, value)
        self._core.update(known, self._merging(own) if own else None, new_type)

    def _set_known(self, known: Json, key: str, value: Any) -> None:
        if key == "seconds_until_next_check":
            known["next_check_time"] = value
        elif key == "started_at" and value is None:
            self._take.refuse(key, ValueError("started_at must be a time, not None"))
        else:
            known[key] = value

    def _set_own(self, own: Json, key: str, value: object) -> None:
        for checked_key in self._take.field(lambda _, name: values.check_own_key(str(name)), "a field's name", key):
            own[checked_key] = None if value is None else self._take.own(checked_key, value)

    def _merging(self, own: Json) -> MergeOwn:
        """Return a function that merges the fields into those there are: None removes one, surplus is left out."""
        removed = {key for key, value in own.items() if value is None}
        given = {key: value for key, value in own.items() if value is not None}

        def merge(before: Json) -> Json:
            kept = {key: given.get(key, value) for key, value in before.items() if key not in removed}
            added = {key: value for key, value in given.items() if key not in kept}
            return values.fitting_own(added, kept, lambda error: self._take.refuse("own fields", error))

        return merge

    def get(self) -> dict[str, Any]:
        """Return a deep copy of the state."""
        return self._core.get()

    def add_processing_file(
        self,
        filename: Name,
        file_id: Name | None = None,
        *,
        size: int | None = None,
        mime_type: str | None = None,
        link: str | None = None,
    ) -> None:
        """Put a file in flight and emit ``pipeline:file_processing_started``.

        A file that is in flight already, or whose last attempt failed, starts over with ``attempt`` one higher.
        ``size`` is in bytes.
        """
        take = self._take
        self._core.start(
            FileRecord(
                take.name("filename", filename),
                None if file_id is None else take.optional_name("file_id", file_id),
                None if size is None else take.count("size", size),
                None if mime_type is None else take.optional_text("mime_type", mime_type),
                None if link is None else take.optional_text("link", link),
            )
        )

    def file_progress(
        self, filename: Name, stage: str, progress: float | None = None, *, file_id: Name | None = None
    ) -> None:
        """Set a file's stage and its fraction, 0 to 1; emits ``pipeline:file_progress``, at most 10 a second a file.

        What comes faster is summed up: the last value always goes out. Within a stage the fraction never goes back.
        For a file that isn't in flight it does nothing but log one warning for that name.
        """
        take = self._take
        name = take.name("filename", filename)
        known_id = None if file_id is None else take.optional_name("file_id", file_id)
        label = take.label("stage", stage, "working")
        fraction = None if progress is None else take.fraction("progress", progress)
        if not self._core.progress(name, known_id, label, fraction) and self._first_warning(name):
            about = logs.about(self.pipeline_id, known_id)
            logger.warning("progress of file %r, which is not in flight, was ignored", name, extra=about)

    def complete_file(
        self,
        filename: Name,
        success: bool = True,
        *,
        file_id: Name | None = None,
        result: Any = None,
        error: BaseException | Mapping[str, Any] | str | None = None,
    ) -> None:
        """Take a file out of flight; emits ``pipeline:file_completed`` or, without ``success``, ``…_failed``.

        ``error`` is an exception, a text, or a mapping with any of ``type``, ``message``, ``stage``, ``retryable``.
        A file that was never started is counted and emitted too, with one warning in the log for its name.
        """
        file = self._file(filename, file_id)
        copied, size = self._take.result(result)
        if self._take.flag("success", success):
            if error is not None:
                self._take.refuse("error", ValueError("error goes with success=False only"))
            known = self._core.end(file, PROCESSED, copied, size)
        else:
            known = self._core.end(file, FAILED, copied, size, self._take.failure(error))
        if not known and self._first_warning(f"end of {file.name}"):
            about = logs.about(self.pipeline_id, file.id)
            logger.warning("file %r was completed but never started", file.name, extra=about)

    def skip_file(self, filename: Name, reason: str, *, file_id: Name | None = None) -> None:
        """Count a file as done without work, with the reason; emits ``pipeline:file_skipped``."""
        why = FileError("Skipped", self._take.message("reason", reason), None, retryable=False)
        self._core.end(self._file(filename, file_id), SKIPPED, error=why)

    def delete_file(self, filename: Name, *, file_id: Name | None = None) -> None:
        """Note that a file's source is gone; emits ``pipeline:file_deleted``."""
        self._core.end(self._file(filename, file_id), DELETED)

    def processing(
        self,
        filename: Name,
        file_id: Name | None = None,
        *,
        size: int | None = None,
        mime_type: str | None = None,
        link: str | None = None,
    ) -> Processing:
        """Return a context manager, ``with`` or ``async with``: started … completed, or failed and re-raised."""
        return Processing(self, self._core, self._file(filename, file_id), size=size, mime_type=mime_type, link=link)

    def close(self) -> None:
        """Take the pipeline off the service: later calls change the state but are shown to no one; idempotent."""
        self._core.close()

    @property
    def pipeline_id(self) -> str:
        """The identity; may still change until the first call that changes the state."""
        return self._core.pipeline_id

    @property
    def pipeline_type(self) -> str | None:
        """The type, which decides the namespace."""
        return self._core.pipeline_type

    @property
    def interrupted(self) -> tuple[FileRecord, ...]:
        """The files that were in flight when the last process of this id ended: they have failed, and want a retry.

        A kill can come between the end of a file's work and the moment its event is kept, so one may be done already.
        Known from the first call on that changes the state.
        """
        return self._core.interrupted

    @property
    def control(self) -> Control | None:
        """What listens to requests such as pause and retry; None for a pipeline that takes none."""
        return self._core.control

    @control.setter
    def control(self, control: Control | None) -> None:
        self._core.control = control

    def _file(self, filename: object, file_id: object) -> FileRecord:
        name = self._take.name("filename", filename)
        return FileRecord(name, None if file_id is None else self._take.optional_name("file_id", file_id))

    def _first_warning(self, name: str) -> bool:
        """Return whether to warn: once for a name, and for a few names, since logging is slow and takes locks.

        An exception raised into the thread while it logs can leave a handler's lock taken, on Python 3.11.
        """
        if name in self._warned or len(self._warned) >= MAX_WARNINGS:
            return False
        self._warned.add(name)
        return True


class DefaultPipelineStatus(PipelineStatus):
    """The process-wide default: takes an id only once it reports, so it blocks no other pipeline until then."""

    def __init__(self) -> None:
        self._begin(StatusCore(None, None, claims=False))


def core_of(pipeline: PipelineStatus) -> StatusCore:
    """Return the part of a pipeline's status that servers use."""
    return pipeline._core


pipeline_status = DefaultPipelineStatus()
"""The process-wide default instance."""
