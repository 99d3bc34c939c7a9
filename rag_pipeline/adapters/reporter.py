"""What adapters report through: calls that never raise, on a pipeline that is served once it has something to say."""

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


def _quietly(method: Callable[Concatenate[Reporter, P], None]) -> Callable[Concatenate[Reporter, P], None]:
    """Make a method of the reporter log what it raises, once, instead of raising it."""

    @functools.wraps(method)
    def call(self: Reporter, /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - whatever it is, the work that is watched goes on
            self.tell(error)

    return call


class Reporter:
    """Reports files to a pipeline; no call raises, and none waits for a client.

    Without a ``pipeline`` it makes one of the given type (and id) with its first report, and starts the service from
    the environment unless a server of this process shows it already.
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
        self._told = False

    @property
    def pipeline(self) -> PipelineStatus:
        """The pipeline that is reported to."""
        if self._given is not None:
            return self._given
        with self._lock:
            if self._own is None:
                self._own = PipelineStatus(self._type, self._id)
            return self._own

    @_quietly
    def update(self, /, **fields: Any) -> None:
        """Set fields of the state, own ones too."""
        self._ready().update(**fields)

    @_quietly
    def start(self, file: File) -> None:
        """Put a file in flight."""
        self._ready().add_processing_file(file.name, file.id, size=file.size, mime_type=file.mime_type, link=file.link)

    @_quietly
    def stage(self, file: File, stage: str, progress: float | None = None) -> None:
        """Show a file's stage, and the fraction of it that is done."""
        self.pipeline.file_progress(file.name, stage, progress, file_id=file.id)

    @_quietly
    def complete(self, file: File, result: Any = None) -> None:
        """Show that a file is done; the result as far as it can be shown."""
        self.pipeline.complete_file(file.name, file_id=file.id, result=small(result))

    @_quietly
    def fail(self, file: File, error: BaseException | Mapping[str, Any]) -> None:
        """Show that a file has failed, and why."""
        self.pipeline.complete_file(file.name, success=False, file_id=file.id, error=error)

    @_quietly
    def skip(self, file: File, reason: str) -> None:
        """Show that a file needs no work, and why."""
        self.pipeline.skip_file(file.name, reason, file_id=file.id)

    @_quietly
    def delete(self, file: File) -> None:
        """Show that a file's source is gone."""
        self.pipeline.delete_file(file.name, file_id=file.id)

    @_quietly
    def attempt(self, call: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        """Do what works out what to report."""
        call(*args, **kwargs)

    def tell(self, error: BaseException) -> None:
        """Log that showing failed: as a warning once, afterwards for who debugs."""
        level = logging.DEBUG if self._told else logging.WARNING
        self._told = True
        reason = str(error) if isinstance(error, RagPipelineError) else f"{type(error).__name__}: {error}"
        logger.log(level, "the %s pipeline is not shown as it is: %s", self._type, reason)

    def _ready(self) -> PipelineStatus:
        """Return the pipeline, served: a failure to start the service is told once, and not tried again."""
        pipeline = self.pipeline
        if not self._served and pipeline is self._own:
            self._served = True  # first, so that no other thread waits for the start, or starts another
            if not core_of(pipeline).shown:
                self._serve()
        return pipeline

    @_quietly
    def _serve(self) -> None:
        server = rag_pipeline.start_status_server()
        logger.info("the %s pipeline is shown on http://%s:%d", self._type, server.host, server.http_port)


def small(result: Any) -> Any:
    """Return what of a result is worth showing: a number, or the numbers and short texts of a mapping; else None."""
    try:
        if isinstance(result, Mapping):
            items = itertools.islice(result.items(), MAX_RESULT_ITEMS)
            return {
                key: value for key, value in items if _is_short(key) and (_is_short(value) or _is_plain(value))
            } or None
        return result if _is_plain(result) else None
    except Exception:  # noqa: BLE001 - a mapping of the user's own, which does as it likes
        return None


def _is_plain(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and value.bit_length() <= 64


def _is_short(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_RESULT_TEXT and value.isprintable()


def described(error: BaseException, *, retryable: bool | None = None) -> dict[str, Any]:
    """Return an exception as what a failed file shows of it: ``type``, ``message``, ``stage``, ``retryable``."""
    shown: dict[str, Any] = {**failure(error).to_json()}
    return shown if retryable is None else {**shown, "retryable": retryable}
