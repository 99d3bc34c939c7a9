"""The context manager around the work on one file."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rag_pipeline.status.file_reports import FileReports
from rag_pipeline.status.model import FileRecord


class Processing:
    """Reports one file from its start to its end; ``with`` and ``async with`` do the same.

    A block whose file was ended already (by ``skip``, or by another call of the pipeline) reports nothing at its
    end.
    """

    def __init__(
        self, pipeline: FileReports, file: FileRecord, *, size: int | None, mime_type: str | None, link: str | None
    ) -> None:
        self._pipeline = pipeline
        self._name = file.name
        self._id = file.id
        self._details: dict[str, Any] = {"size": size, "mime_type": mime_type, "link": link}
        self._result: Any = None
        self._quality: Mapping[str, float | None] | None = None
        self._token: object = None

    def stage(self, stage: str, progress: float | None = None) -> None:
        """Show the file's stage, and the fraction of it that is done."""
        self._pipeline.file_progress(self._name, stage, progress, file_id=self._id)

    def set_result(self, result: Any) -> None:
        """Set the result that ``file_completed`` shows, as far as JSON can express it."""
        self._result = self._pipeline._arguments.result(result).value

    def warn(self, type: str, message: str, count: int = 1) -> None:  # noqa: A002 - the warning's own word for it
        """Add a warning that ``file_completed`` shows; safe from any thread. Equal ones are added up.

        ``type`` is a short fixed word, ``message`` a sentence for people, ``count`` the number of cases.
        """
        self._pipeline.warn_file(self._name, type, message, count, file_id=self._id)

    def set_quality(self, quality: Mapping[str, float | None]) -> None:
        """Set the figures about the file's text that ``file_completed`` shows, such as ``{"pages": 10}``."""
        self._quality = self._pipeline._arguments.quality(quality)

    def skip(self, reason: str) -> None:
        """End the file as skipped; leave the block afterwards."""
        self._pipeline.skip_file(self._name, reason, file_id=self._id)

    def __enter__(self) -> Self:
        self._pipeline.add_processing_file(self._name, self._id, **self._details)
        self._token = self._in_flight_token()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._in_flight_token() is not self._token:
            return
        if error is None:
            self._pipeline.complete_file(self._name, file_id=self._id, result=self._result, quality=self._quality)
        else:
            self._pipeline.complete_file(self._name, success=False, file_id=self._id, error=error)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def _in_flight_token(self) -> object:
        return self._pipeline._core.in_flight_token(self._name, self._id)
