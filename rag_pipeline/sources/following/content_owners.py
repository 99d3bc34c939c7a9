"""Finds stored files with the content of a new one, and makes sure that each content is ingested once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container
from itertools import islice
from pathlib import PurePosixPath
from typing import NamedTuple

from rag_pipeline.sources.following.jobs import ContentHash, Ingest, Job
from rag_pipeline.sources.following.plan import keeps_type
from rag_pipeline.sources.following.records import Records
from rag_pipeline.sources.source import FoundFile
from rag_pipeline.sources.worker_pool import WorkerPool

MAX_CANDIDATES = 1_000
"""Files with one content that are tried."""


class StoredCopy(NamedTuple):
    """A stored file with the content; ``moves`` means that it is missing, so the new file is the same file, moved."""

    file_id: str
    moves: bool


class Deferred(NamedTuple):
    """The file is ingested when the work on ``until`` has ended."""

    until: str


class ContentOwners:
    """Knows which files own a content: stored ones, and those being ingested. Thread-safe.

    A missing file whose text moves is reserved in the pool, so that nothing else happens to it meanwhile.

    missing: the known files that the last scan missed; protected by the records' lock.
    """

    def __init__(self, records: Records, pool: WorkerPool[Job]) -> None:
        self.missing: Container[str] = frozenset[str]()
        self._records = records
        self._pool = pool
        self._moving: set[str] = set()
        self._copied: Counter[str] = Counter()
        self._ingesting: dict[tuple[str, str], str] = {}  # file ids by fingerprint and suffix

    def find(self, file: FoundFile, content: ContentHash, without: Container[str] = ()) -> StoredCopy | Deferred | None:
        """Return a stored file to reuse, not one of ``without``; :meth:`release` must be called for it.

        Deferred if another file with this content is being ingested. None if the caller must ingest the content, and
        then call :meth:`end_ingesting`.
        """
        with self._records.lock:
            moving: str | None = None
            copied: str | None = None
            for key in islice(self._records.with_content(content.fingerprint), MAX_CANDIDATES):
                row = self._records.rows.get(key)
                if key == file.file_id or key in without or row is None or not keeps_type(file, row):
                    continue
                if key in self._moving:
                    moving = moving or key
                elif key in self.missing and not self._copied[key] and self._pool.reserve(key):
                    self._moving.add(key)
                    return StoredCopy(key, moves=True)
                else:
                    copied = copied or key
            if copied is not None:
                self._copied[copied] += 1
                return StoredCopy(copied, moves=False)
            owner = moving or self._ingesting.setdefault(_content_key(file, content), file.file_id)
            if owner != file.file_id and self._pool.defer(file.file_id, Ingest(file, content), owner):
                return Deferred(owner)
            return None

    def release(self, copy: StoredCopy) -> None:
        """End the reuse of a stored file."""
        with self._records.lock:
            if not copy.moves:
                self._copied[copy.file_id] -= 1
                if not self._copied[copy.file_id]:
                    del self._copied[copy.file_id]
                return
            self._moving.discard(copy.file_id)
        self._pool.release(copy.file_id)

    def end_ingesting(self, file_id: str) -> None:
        """Record that a file is no longer being ingested."""
        with self._records.lock:
            for content in [content for content, key in self._ingesting.items() if key == file_id]:
                del self._ingesting[content]


def _content_key(file: FoundFile, content: ContentHash) -> tuple[str, str]:
    return content.fingerprint, PurePosixPath(file.name).suffix.lower()
