"""The calls of :class:`~rag_pipeline.status.pipeline.PipelineStatus` about single files."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from os import PathLike
from typing import Any
from uuid import UUID

from rag_pipeline.common import logs
from rag_pipeline.status.arguments import Arguments
from rag_pipeline.status.core import StatusCore, WarningOutcome
from rag_pipeline.status.model import FileFailure, FileRecord
from rag_pipeline.status.outcomes import DELETED, FAILED, PROCESSED, SKIPPED
from rag_pipeline.status.verdict import too_many

logger = logging.getLogger("rag_pipeline.status")

MAX_WARNINGS = 20

FileName = str | PathLike[str] | int | UUID
"""A file's name or id."""

WarningLike = Mapping[str, Any] | BaseException | str
"""A warning: a mapping with ``message`` and perhaps ``type`` and ``count``, an exception, or a message."""


class FileReports:
    """Checks the arguments of each call, and hands them to the core."""

    def _begin(self, core: StatusCore) -> None:
        self._core = core
        self._arguments = Arguments(lambda: core.pipeline_id)
        self._warned: set[str] = set()

    def add_processing_file(
        self,
        filename: FileName,
        file_id: FileName | None = None,
        *,
        size: int | None = None,
        mime_type: str | None = None,
        link: str | None = None,
    ) -> None:
        """Put a file in flight and emit ``pipeline:file_processing_started``.

        A file that is in flight already, or whose last attempt failed, starts over with ``attempt`` one higher.
        ``size`` is in bytes.
        """
        arguments = self._arguments
        self._core.start(
            FileRecord(
                arguments.name("filename", filename),
                None if file_id is None else arguments.optional_name("file_id", file_id),
                None if size is None else arguments.count("size", size),
                None if mime_type is None else arguments.optional_text("mime_type", mime_type),
                None if link is None else arguments.optional_text("link", link),
            )
        )

    def file_progress(
        self, filename: FileName, stage: str, progress: float | None = None, *, file_id: FileName | None = None
    ) -> None:
        """Set a file's stage and its fraction, 0 to 1; emits ``pipeline:file_progress``, at most 10 a second a file.

        Faster calls are merged: the last value always goes out. Within a stage the fraction never goes back. For a
        file that isn't in flight, the call does nothing but log one warning for its name.
        """
        arguments = self._arguments
        name = arguments.name("filename", filename)
        known_id = None if file_id is None else arguments.optional_name("file_id", file_id)
        label = arguments.label("stage", stage, "working")
        fraction = None if progress is None else arguments.fraction("progress", progress)
        if not self._core.progress(name, known_id, label, fraction) and self._first_warning(name):
            about = logs.about(self._core.pipeline_id, known_id)
            logger.warning("progress of file %r, which is not in flight, was ignored", name, extra=about)

    def warn_file(
        self,
        filename: FileName,
        type: str,  # noqa: A002 - the warning's own word for it
        message: str,
        count: int = 1,
        *,
        file_id: FileName | None = None,
    ) -> None:
        """Keep a warning of a file in flight; the file shows it once it completes.

        ``type`` is a short fixed word such as ``pages_without_text``, ``message`` a sentence for people, ``count`` the
        number of cases. Equal warnings are added up; a file has at most 20 different ones. For a file that isn't in
        flight, the call does nothing but log one warning for its name.
        """
        arguments = self._arguments
        name = arguments.name("filename", filename)
        known_id = None if file_id is None else arguments.optional_name("file_id", file_id)
        warning = arguments.warning(type, message, count)
        if warning is None:
            return
        outcome = self._core.warn(name, known_id, warning)
        if outcome is WarningOutcome.FULL:
            arguments.refuse("warning", too_many())
        elif outcome is WarningOutcome.NOT_IN_FLIGHT and self._first_warning(f"warning of {name}"):
            about = logs.about(self._core.pipeline_id, known_id)
            logger.warning("warning of file %r, which is not in flight, was ignored", name, extra=about)

    def complete_file(
        self,
        filename: FileName,
        success: bool = True,
        *,
        file_id: FileName | None = None,
        result: Any = None,
        error: BaseException | Mapping[str, Any] | str | None = None,
        warnings: Iterable[WarningLike] | None = None,
        quality: Mapping[str, float | None] | None = None,
    ) -> None:
        """Take a file out of flight; emits ``pipeline:file_completed`` or, without ``success``, ``…_failed``.

        ``error`` is an exception, a text, or a mapping with any of ``type``, ``message``, ``stage``, ``retryable``.
        ``warnings`` are faults of a completed file: mappings with ``type``, ``message`` and ``count``, exceptions, or
        texts; those of :meth:`warn_file` come first. At most 20 are kept, of 300 characters each. ``quality`` holds up
        to 20 figures about its text, such as ``pages``. Both go with ``success`` only: a failed file has its error.
        A file that was never started is counted and emitted too, with one warning in the log for its name.
        """
        arguments = self._arguments
        name = arguments.name("filename", filename)
        known_id = None if file_id is None else arguments.optional_name("file_id", file_id)
        copied, size = arguments.result(result)
        if arguments.flag("success", success):
            if error is not None:
                arguments.refuse("error", ValueError("error goes with success=False only"))
            file = FileRecord(name, known_id)
            if warnings is not None or quality is not None:
                file = FileRecord(
                    name,
                    known_id,
                    warnings=() if warnings is None else arguments.warnings(warnings),
                    quality=None if quality is None else arguments.quality(quality),
                )
            known = self._core.end(file, PROCESSED, copied, size)
        else:
            for key in [key for key, value in (("warnings", warnings), ("quality", quality)) if value]:
                arguments.refuse(key, ValueError(f"{key} goes with success=True only"))
            file = FileRecord(name, known_id)
            known = self._core.end(file, FAILED, copied, size, arguments.failure(error))
        if not known and self._first_warning(f"end of {file.name}"):
            about = logs.about(self._core.pipeline_id, file.id)
            logger.warning("file %r was completed but never started", file.name, extra=about)

    def skip_file(self, filename: FileName, reason: str, *, file_id: FileName | None = None) -> None:
        """Count a file as done without work, with the reason; emits ``pipeline:file_skipped``."""
        why = FileFailure("Skipped", self._arguments.message("reason", reason), None, retryable=False)
        self._core.end(self._file(filename, file_id), SKIPPED, error=why)

    def delete_file(self, filename: FileName, *, file_id: FileName | None = None) -> None:
        """Note that a file's source is gone; emits ``pipeline:file_deleted``."""
        self._core.end(self._file(filename, file_id), DELETED)

    def _file(self, filename: object, file_id: object) -> FileRecord:
        name = self._arguments.name("filename", filename)
        return FileRecord(name, None if file_id is None else self._arguments.optional_name("file_id", file_id))

    def _first_warning(self, name: str) -> bool:
        """Return whether to warn: once for a name, and for 20 names in all, because logging is slow and takes locks.

        An exception raised into the thread while it logs can leave a handler's lock taken, on Python 3.11.
        """
        if name in self._warned or len(self._warned) >= MAX_WARNINGS:
            return False
        self._warned.add(name)
        return True
