"""File records: which event means which file status, and records to and from JSON."""

from __future__ import annotations

import json
from typing import Any

from rag_pipeline.contract import events
from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.journal.base import FileStatus
from rag_pipeline.status.files import Key, key_of
from rag_pipeline.status.model import FileBody, FileFailure, FileRecord
from rag_pipeline.status.outcomes import DELETED, FAILED, PROCESSED, SKIPPED

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


def pack(file: FileRecord) -> str:
    """Return the record as JSON text."""
    return json.dumps(file, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def unpack(text: str) -> FileRecord:
    """Return the record from the text that :func:`pack` made."""
    values: list[Any] = json.loads(text)
    error = values[-1]
    values[-1] = None if error is None else FileFailure(*error)
    return FileRecord(*values)
