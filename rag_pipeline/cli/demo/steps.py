"""The steps of a script: records of calls on PipelineStatus and their times, and the function that makes the calls.

Times are seconds of the script. Values that depend on the real clock are computed when a step is played, so
``next_check_time`` is right at every speed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from rag_pipeline.status.pipeline import PipelineStatus


class DemoDocument(NamedTuple):
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
    """Begin a check for changes."""


class Idle(NamedTuple):
    """Become idle until the next check at ``next_check_at``; checks are ``interval`` seconds apart."""

    next_check_at: float
    interval: float


class Start(NamedTuple):
    """Start a file."""

    file: DemoDocument


class Progress(NamedTuple):
    """Report a stage of a file, and the fraction of it that is done."""

    file: DemoDocument
    stage: str
    fraction: float


class Complete(NamedTuple):
    """Complete a file."""

    file: DemoDocument
    result: dict[str, Any]
    warnings: tuple[dict[str, Any], ...] = ()
    quality: dict[str, float | None] | None = None


class Fail(NamedTuple):
    """Fail a file; ``error`` has type, message, stage and retryable."""

    file: DemoDocument
    error: dict[str, Any]


class Skip(NamedTuple):
    """Skip a file."""

    file: DemoDocument
    reason: str


class Delete(NamedTuple):
    """Report that the source of a file is gone."""

    file: DemoDocument


StepAction = Update | CheckBegins | Idle | Start | Progress | Complete | Fail | Skip | Delete


class DemoStep(NamedTuple):
    """An action and its time, in seconds since the start of the script."""

    at: float
    action: StepAction


def perform(action: StepAction, status: PipelineStatus, real_seconds: Callable[[float], float], speed: float) -> None:
    """Make the call on ``status``; ``real_seconds`` converts a script time to real seconds from now."""
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
        case Complete(file, result, warnings, quality):
            status.complete_file(file.name, file_id=file.id, result=result, warnings=warnings, quality=quality)
        case Fail(file, error):
            status.complete_file(file.name, success=False, file_id=file.id, error=error)
        case Skip(file, reason):
            status.skip_file(file.name, reason, file_id=file.id)
        case Delete(file):
            status.delete_file(file.name, file_id=file.id)
