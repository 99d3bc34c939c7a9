"""What a script is made of: records that say when which call is made on PipelineStatus, and the one that makes it.

Times are seconds of the script. What depends on the real clock is worked out when a step is played, so that
``next_check_time`` is true at every speed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from rag_pipeline.status.pipeline import PipelineStatus


class Document(NamedTuple):
    """A file of the script; ``size`` is in bytes."""

    name: str
    id: str
    size: int
    mime_type: str
    link: str


class Update(NamedTuple):
    """Set fields of the state."""

    fields: dict[str, Any]


class CheckBegins(NamedTuple):
    """The pipeline looks for changes, now."""


class Idle(NamedTuple):
    """All is done; the next check is at ``next_check_at``, and they are ``interval`` seconds apart."""

    next_check_at: float
    interval: float


class Start(NamedTuple):
    """A file is put in flight."""

    file: Document


class Progress(NamedTuple):
    """A file is in a stage, and this fraction of it is done."""

    file: Document
    stage: str
    fraction: float


class Complete(NamedTuple):
    """A file is done."""

    file: Document
    result: dict[str, Any]


class Fail(NamedTuple):
    """A file failed; ``error`` has type, message, stage and retryable."""

    file: Document
    error: dict[str, Any]


class Skip(NamedTuple):
    """A file needs no work, or can't be read."""

    file: Document
    reason: str


class Delete(NamedTuple):
    """The source of a file is gone."""

    file: Document


Action = Update | CheckBegins | Idle | Start | Progress | Complete | Fail | Skip | Delete


class Step(NamedTuple):
    """One action at one time, in seconds since the script began."""

    at: float
    action: Action


def perform(action: Action, status: PipelineStatus, real_seconds: Callable[[float], float], speed: float) -> None:
    """Make the call the action stands for.

    ``real_seconds`` tells how long from now on the real clock a time of the script is.
    """
    match action:
        case Update(fields):
            status.update(**fields)
        case CheckBegins():
            status.update(status="scanning", is_checking=True, last_check_time=time.time(), next_check_time=None)
        case Idle(next_check_at, interval):
            status.update(
                status="idle",
                is_checking=False,
                seconds_until_next_check=max(0.0, real_seconds(next_check_at)),
                check_interval=round(interval / speed, 3),
            )
        case Start(file):
            status.add_processing_file(file.name, file.id, size=file.size, mime_type=file.mime_type, link=file.link)
        case Progress(file, stage, fraction):
            status.file_progress(file.name, stage, fraction, file_id=file.id)
        case Complete(file, result):
            status.complete_file(file.name, file_id=file.id, result=result)
        case Fail(file, error):
            status.complete_file(file.name, success=False, file_id=file.id, error=error)
        case Skip(file, reason):
            status.skip_file(file.name, reason, file_id=file.id)
        case Delete(file):
            status.delete_file(file.name, file_id=file.id)
