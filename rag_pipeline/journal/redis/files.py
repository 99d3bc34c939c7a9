"""Lists the files in Redis."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

from rag_pipeline.journal.base import FileMatch, FileQuery, FileStatus
from rag_pipeline.journal.files import is_warned, unpack
from rag_pipeline.journal.history import page_size
from rag_pipeline.journal.redis.connection import RedisConnection, RedisRefusedError
from rag_pipeline.journal.redis.keys import RedisKeys, position_of, score_of
from rag_pipeline.journal.search_text import folded
from rag_pipeline.status.model import FileRecord

_CHUNK = 200


class StoredFile(NamedTuple):
    """A file's row in Redis; ``began`` is the position at which it was started."""

    status: str
    position: int
    began: int
    changed_at: float
    file: FileRecord


def read_row(text: str) -> StoredFile | None:
    """Return the row from its text; None if this service did not write it."""
    try:
        status, entry_id, began, changed_at, record = text.split(" ", 4)
        return StoredFile(status, position_of(entry_id), position_of(began), float(changed_at), unpack(record))
    except (LookupError, TypeError, ValueError):
        return None


class FileLister:
    """Answers one query; ``check_open`` is called again and again, and raises to end a long search."""

    def __init__(
        self, connection: RedisConnection, keys: RedisKeys, query: FileQuery, check_open: Callable[[], None]
    ) -> None:
        self._connection = connection
        self._keys = keys
        self._query = query
        self._check_open = check_open
        self._text = folded(query.text or "")

    def run(self) -> list[FileMatch]:
        """Return the files that match, most recently changed first."""
        query = self._query
        if query.pipeline_id is None:
            ids = self._connection.call("ZRANGE", self._keys.pipelines, 0, -1)
        else:
            ids = [query.pipeline_id]
        statuses = list(FileStatus) if query.status is None else [query.status]
        if query.warnings:
            statuses = [status for status in statuses if status is FileStatus.COMPLETED]
        sorted_files = [self._files(pipeline_id, status) for pipeline_id in ids for status in statuses]
        merged = heapq.merge(*sorted_files, key=lambda row: row.position, reverse=True)
        return list(islice(merged, page_size(query)))

    def _files(self, pipeline_id: str, status: FileStatus) -> Iterator[FileMatch]:
        try:
            yield from self._newest_first(pipeline_id, status)
        except RedisRefusedError:
            # A pipeline whose keys can't be used is left out of a list of several.
            if self._query.pipeline_id is not None:
                raise

    def _newest_first(self, pipeline_id: str, status: FileStatus) -> Iterator[FileMatch]:
        before = self._query.before
        for chunk in self._chunks(pipeline_id, status):
            # Entries close in time may share a score.
            for row in sorted(chunk, key=lambda row: row.position, reverse=True):
                if row.status == status and (before is None or row.position < before) and self._fits(status, row.file):
                    yield FileMatch(row.position, pipeline_id, status, row.changed_at, row.file.to_json())

    def _chunks(self, pipeline_id: str, status: FileStatus) -> Iterator[list[StoredFile]]:
        before = self._query.before
        warned = self._query.warnings
        key = self._keys.warned_files(pipeline_id) if warned else self._by_change(pipeline_id, status)
        highest = "+inf" if before is None else str(score_of(before))
        offset = 0
        while True:
            limit = ("LIMIT", offset, _CHUNK)
            fields = self._connection.call("ZRANGE", key, highest, "-inf", "BYSCORE", "REV", *limit)
            if not fields:
                return
            self._check_open()
            offset += len(fields)
            texts = self._connection.call("HMGET", self._keys.files(pipeline_id), *fields)
            yield [row for text in texts if text is not None and (row := read_row(text)) is not None]

    def _by_change(self, pipeline_id: str, status: FileStatus) -> str:
        """Return the key of the sorted set; it has its legacy name while an earlier version runs the pipeline."""
        key = self._keys.files_by_change(pipeline_id, status)
        legacy = self._keys.legacy_files_by_change(pipeline_id, status)
        if not self._connection.call("EXISTS", key) and self._connection.call("TYPE", legacy) == "zset":
            return legacy
        return key

    def _fits(self, status: FileStatus, file: FileRecord) -> bool:
        warnings = self._query.warnings
        return (warnings is None or is_warned(status, file) is warnings) and self._has_text(file)

    def _has_text(self, file: FileRecord) -> bool:
        texts = [file.name] if file.error is None else [file.name, file.error.message]
        return not self._text or any(self._text in folded(text) for text in texts)
