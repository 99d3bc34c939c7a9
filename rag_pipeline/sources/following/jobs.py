"""The jobs that a pipeline's workers do, one for each file that needs work."""

from __future__ import annotations

from typing import NamedTuple

from rag_pipeline.sources.source import FoundFile, Unreadable


class ContentHash(NamedTuple):
    """A file's content as known after hashing: its fingerprint, and its size in bytes."""

    fingerprint: str
    size: int


class Ingest(NamedTuple):
    """Take a file through the stages; ``content`` is set if it was hashed already."""

    file: FoundFile
    content: ContentHash | None = None


class GiveUp(NamedTuple):
    """Fail a file that never stops changing."""

    file: FoundFile


class ReportUnreadable(NamedTuple):
    """Show an entry that can't be read as a file."""

    entry: Unreadable


class DeleteFile(NamedTuple):
    """Delete a file that is gone from the store and the ledger."""

    file_id: str


Job = Ingest | GiveUp | ReportUnreadable | DeleteFile
