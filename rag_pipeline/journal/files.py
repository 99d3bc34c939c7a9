"""File records: which event means which file status, and records to and from JSON."""

from __future__ import annotations

import json
from typing import Any

from rag_pipeline.contract import events
from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.journal.base import FileStatus
from rag_pipeline.status.files import Key, key_of
from rag_pipeline.status.model import FileBody, FileFailure, FileRecord, FileWarning
from rag_pipeline.status.outcomes import DELETED, FAILED, PROCESSED, SKIPPED, WARNED

STATUS_OF = {
    events.FILE_STARTED: FileStatus.PROCESSING,
    events.FILE_PROGRESS: FileStatus.PROCESSING,
    events.FILE_COMPLETED: FileStatus.COMPLETED,
    events.FILE_FAILED: FileStatus.FAILED,
    events.FILE_SKIPPED: FileStatus.SKIPPED,
    events.FILE_DELETED: FileStatus.DELETED,
}
"""The status of a file after an event of this name."""
OUTCOMES = {
    FileStatus.COMPLETED: PROCESSED,
    FileStatus.FAILED: FAILED,
    FileStatus.SKIPPED: SKIPPED,
    FileStatus.DELETED: DELETED,
}
"""The outcome that a file of this status counts as in the totals."""

_ERROR, _VERDICT = FileRecord._fields.index("error"), FileRecord._fields.index("warnings")


def file_of(event: PipelineEvent) -> FileRecord | None:
    """Return the file of an event; None for a status."""
    return event.body.file if isinstance(event.body, FileBody) else None


def keys_of(file: FileRecord) -> tuple[Key, Key | None]:
    """Return the file's key, and the key it may have been started under before its id was known."""
    key = key_of(file.name, file.id)
    return key, None if file.id is None or file.started_at is None else key_of(file.name, None)


def key_to_text(key: Key) -> str:
    """Return the key as stored."""
    return ":".join(key)


def key_from_text(text: str) -> Key:
    """Return the key from the text that :func:`key_to_text` made."""
    kind, _, value = text.partition(":")
    return kind, value


def counts_as(status: FileStatus, *, warned: bool) -> int:
    """Return the outcome that the file counts as."""
    return WARNED if warned and status is FileStatus.COMPLETED else OUTCOMES[status]


def is_warned(status: FileStatus, file: FileRecord) -> bool:
    """Return whether it is a completed file with warnings."""
    return bool(file.warnings) and status is FileStatus.COMPLETED


def pack(file: FileRecord) -> str:
    """Return the record as JSON text; without a verdict it is what earlier versions wrote, and read."""
    values: tuple[Any, ...] = file if file.warnings or file.quality is not None else file[:_VERDICT]
    return json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def unpack(text: str) -> FileRecord:
    """Return the record from the text that :func:`pack` made."""
    values: list[Any] = json.loads(text)
    error = values[_ERROR]
    values[_ERROR] = None if error is None else FileFailure(*error)
    if len(values) > _VERDICT:
        values[_VERDICT] = tuple([FileWarning(*warning) for warning in values[_VERDICT]])
    return FileRecord(*values)
