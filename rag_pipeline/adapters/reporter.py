"""Reports files for the adapters: never raises, and starts the service with the first report."""

from __future__ import annotations

import functools
import itertools
import logging
import math
from collections.abc import Callable, Mapping
from typing import Any, Concatenate, ParamSpec

import rag_pipeline
from rag_pipeline.adapters.file_argument import File
from rag_pipeline.common import native
from rag_pipeline.errors import RagPipelineError
from rag_pipeline.status.failures import failure
from rag_pipeline.status.pipeline import PipelineStatus, core_of

logger = logging.getLogger("rag_pipeline.adapters")

MAX_RESULT_ITEMS = 20
MAX_RESULT_TEXT = 200

P = ParamSpec("P")


def _never_raises(method: Callable[Concatenate[Reporter, P], None]) -> Callable[Concatenate[Reporter, P], None]:
    """Make a method of the reporter log its exception, once, instead of raising it."""

    @functools.wraps(method)
    def call(self: Reporter, /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - an error here must not stop the user's work
            self.log_failure(error)

    return call


class Reporter:
    """Reports files to a pipeline; no call raises or waits for a client.

    Without ``pipeline`` the first report creates one with the given type and id, and starts the service from the
    environment unless a server of this process shows it already.
    """

    def __init__(
        self, pipeline_type: str, pipeline: PipelineStatus | None = None, *, pipeline_id: str | None = None
    ) -> None:
        self._type = pipeline_type
        self._id = pipeline_id
        self._given = pipeline
        self._own: PipelineStatus | None = None
        self._lock = native.allocate_lock()
        self._served = False
        self._failure_logged = False

    @property
    def pipeline(self) -> PipelineStatus:
        """The pipeline that receives the reports."""
        if self._given is not None:
            return self._given
        with self._lock:
            if self._own is None:
                self._own = PipelineStatus(self._type, self._id)
            return self._own

    @_never_raises
    def update(self, /, **fields: Any) -> None:
        """Set fields of the state."""
        self._ready().update(**fields)

    @_never_raises
    def start(self, file: File) -> None:
        """Report that a file is started."""
        self._ready().add_processing_file(file.name, file.id, size=file.size, mime_type=file.mime_type, link=file.link)

    @_never_raises
    def stage(self, file: File, stage: str, progress: float | None = None) -> None:
        """Report a file's stage, and the fraction of it that is done."""
        self.pipeline.file_progress(file.name, stage, progress, file_id=file.id)

    @_never_raises
    def warn(self, file: File, kind: str, message: str, count: int = 1) -> None:
        """Add a warning to a file, which it shows once it completes."""
        self.pipeline.warn_file(file.name, kind, message, count, file_id=file.id)

    @_never_raises
    def complete(self, file: File, result: Any = None) -> None:
        """Report that a file is done, with what is displayable of the result."""
        self.pipeline.complete_file(file.name, file_id=file.id, result=displayable(result))

    @_never_raises
    def fail(self, file: File, error: BaseException | Mapping[str, Any]) -> None:
        """Report that a file has failed, and why."""
        self.pipeline.complete_file(file.name, success=False, file_id=file.id, error=error)

    @_never_raises
    def skip(self, file: File, reason: str) -> None:
        """Report that a file is skipped, and why."""
        self.pipeline.skip_file(file.name, reason, file_id=file.id)

    @_never_raises
    def delete(self, file: File) -> None:
        """Report that a file's source is gone."""
        self.pipeline.delete_file(file.name, file_id=file.id)

    @_never_raises
    def attempt(self, call: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        """Make a call that prepares or makes a report."""
        call(*args, **kwargs)

    def log_failure(self, error: BaseException) -> None:
        """Log that a report failed: the first time as a warning, then at level DEBUG."""
        level = logging.DEBUG if self._failure_logged else logging.WARNING
        self._failure_logged = True
        reason = str(error) if isinstance(error, RagPipelineError) else f"{type(error).__name__}: {error}"
        logger.log(level, "the status of the %s pipeline is incomplete: %s", self._type, reason)

    def _ready(self) -> PipelineStatus:
        """Return the pipeline, and start the service once; a failure to start is logged and not retried."""
        pipeline = self.pipeline
        if not self._served and pipeline is self._own:
            self._served = True  # set first, so that no other thread waits or starts a second service
            if not core_of(pipeline).shown:
                self._serve()
        return pipeline

    @_never_raises
    def _serve(self) -> None:
        server = rag_pipeline.start_status_server()
        logger.info("the %s pipeline is shown on http://%s:%d", self._type, server.host, server.http_port)


def displayable(result: Any) -> Any:
    """Return the displayable part of a result: a number, or the numbers and short texts of a mapping; else None."""
    try:
        if isinstance(result, Mapping):
            items = itertools.islice(result.items(), MAX_RESULT_ITEMS)
            return {
                key: value for key, value in items if _is_short(key) and (_is_short(value) or _is_plain(value))
            } or None
        return result if _is_plain(result) else None
    except Exception:  # noqa: BLE001 - the mapping may be a class of the user
        return None


def _is_plain(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and value.bit_length() <= 64


def _is_short(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_RESULT_TEXT and value.isprintable()


def error_fields(error: BaseException, *, retryable: bool | None = None) -> dict[str, Any]:
    """Return an exception as a failed file's ``error``: ``type``, ``message``, ``stage``, ``retryable``."""
    fields: dict[str, Any] = {**failure(error).to_json()}
    return fields if retryable is None else {**fields, "retryable": retryable}
