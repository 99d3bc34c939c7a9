"""The context manager around the work on one file."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rag_pipeline.status.core import StatusCore
from rag_pipeline.status.model import FileRecord

if TYPE_CHECKING:
    from rag_pipeline.status.pipeline import PipelineStatus


class Processing:
    """One file between started and completed or failed; ``with`` and ``async with`` do the same.

    A block that was ended otherwise (by :meth:`skip`, or by a call of the pipeline's own for this file) emits nothing
    more at its end.
    """

    def __init__(
        self,
        pipeline: PipelineStatus,
        core: StatusCore,
        file: FileRecord,
        *,
        size: int | None,
        mime_type: str | None,
        link: str | None,
    ) -> None:
        self._pipeline = pipeline
        self._core = core
        self._name = file.name
        self._id = file.id
        self._about: dict[str, Any] = {"size": size, "mime_type": mime_type, "link": link}
        self._result: Any = None
        self._token: object = None

    def stage(self, stage: str, progress: float | None = None) -> None:
        """Show the stage the file is in, and the fraction of it that is done."""
        self._pipeline.file_progress(self._name, stage, progress, file_id=self._id)

    def set_result(self, result: Any) -> None:
        """Keep what ``file_completed`` will show as the result: what JSON can express of it."""
        self._result = self._pipeline._take.result(result).value

    def skip(self, reason: str) -> None:
        """End the file as skipped; leave the block afterwards."""
        self._pipeline.skip_file(self._name, reason, file_id=self._id)

    def __enter__(self) -> Self:
        self._pipeline.add_processing_file(self._name, self._id, **self._about)
        self._token = self._core.in_flight_token(self._name, self._id)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._core.in_flight_token(self._name, self._id) is not self._token:
            return
        if error is None:
            self._pipeline.complete_file(self._name, file_id=self._id, result=self._result)
        else:
            self._pipeline.complete_file(self._name, success=False, file_id=self._id, error=error)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)
