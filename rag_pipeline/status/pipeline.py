"""PipelineStatus: the calls that a pipeline makes. They check their arguments; the core does the rest."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rag_pipeline.common import logs
from rag_pipeline.common.pipeline_id import check_pipeline_id
from rag_pipeline.status import checks
from rag_pipeline.status.control import Control
from rag_pipeline.status.core import StatusCore, pipeline_ids
from rag_pipeline.status.file_reports import FileName, FileReports
from rag_pipeline.status.model import FileRecord
from rag_pipeline.status.processing import Processing
from rag_pipeline.status.registry import registry
from rag_pipeline.status.update import read_update

logger = logging.getLogger("rag_pipeline.status")

TimeLike = datetime | str | float | None


class PipelineStatus(FileReports):
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

    def _take_over(self, pipeline_id: str) -> None:
        former = pipeline_ids.claim(self._core, pipeline_id)
        if former is not None:
            former.close()
            logger.warning(
                "pipeline id %r passed to a new PipelineStatus; the older one is no longer shown",
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
            last_activity: TimeLike = ...,
            last_check_time: TimeLike = ...,
            next_check_time: TimeLike = ...,
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
            self._core.update(read_update(fields, self._arguments))

    def get(self) -> dict[str, Any]:
        """Return a deep copy of the state."""
        return self._core.get()

    def processing(
        self,
        filename: FileName,
        file_id: FileName | None = None,
        *,
        size: int | None = None,
        mime_type: str | None = None,
        link: str | None = None,
    ) -> Processing:
        """Return a context manager, ``with`` or ``async with``: started … completed, or failed and re-raised."""
        return Processing(self, self._file(filename, file_id), size=size, mime_type=mime_type, link=link)

    def close(self) -> None:
        """Take the pipeline off the service: later calls change the state but are not published; idempotent."""
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
        """The files that were in flight when the last process of this id ended; they have failed and need a retry.

        A kill can come between the end of a file's work and the moment its event is kept, so one may be done already.
        Known after the first call that changes the state.
        """
        return self._core.interrupted

    @property
    def control(self) -> Control | None:
        """Takes requests such as pause and retry; None for a pipeline that takes none."""
        return self._core.control

    @control.setter
    def control(self, control: Control | None) -> None:
        self._core.control = control


class DefaultPipelineStatus(PipelineStatus):
    """The process-wide default; takes an id only when it reports, so until then it blocks no other pipeline."""

    def __init__(self) -> None:
        self._begin(StatusCore(None, None, claims=False))


def core_of(pipeline: PipelineStatus) -> StatusCore:
    """Return the part of a pipeline's status that servers use."""
    return pipeline._core


pipeline_status = DefaultPipelineStatus()
"""The process-wide default instance."""
