"""The table of files: one row for each file, as of its last event."""

from __future__ import annotations

import sqlite3
from typing import Any

from rag_pipeline.journal.base import FileMatch, FileQuery, FileStatus
from rag_pipeline.journal.files import is_warned, key_to_text, pack, unpack
from rag_pipeline.journal.history import page_size
from rag_pipeline.journal.sqlite.batch_insert import FILE, REMOVE_FILE, BatchRow
from rag_pipeline.journal.sqlite.schema import MAX_INTEGER, decoded
from rag_pipeline.status.files import Key
from rag_pipeline.status.model import FileRecord

SWEEP_ROWS = 100

_Change = tuple[FileStatus, float, int, int | None, FileRecord]


class FileChanges:
    """The changes of files by a batch of events: of each file only the last record is written."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, Key], _Change] = {}
        self._dropped: set[tuple[str, Key]] = set()

    def change(
        self,
        pipeline_id: str,
        key: Key,
        status: FileStatus,
        at: float,
        position: int,
        started: int | None,
        file: FileRecord,
    ) -> None:
        """Set a file's row."""
        self._last[pipeline_id, key] = (status, at, position, started, file)

    def drop(self, pipeline_id: str, key: Key) -> None:
        """Remove a file; it may come back."""
        self._last.pop((pipeline_id, key), None)
        self._dropped.add((pipeline_id, key))

    def rows(self) -> list[BatchRow]:
        """Return the rows for the batch insert."""
        # A new row replaces the old one anyway.
        removed: list[BatchRow] = [
            (REMOVE_FILE, name, key_to_text(key)) for name, key in self._dropped - self._last.keys()
        ]
        return removed + [_row(*one, change) for one, change in self._last.items()]


_ALL = "SELECT position, pipeline_id, status, changed_at, record FROM files"


def find_files(
    db: sqlite3.Connection, query: FileQuery, select: str = _ALL, condition: tuple[str, ...] = ()
) -> list[FileMatch]:
    """Return the files that match, most recently changed first.

    ``condition`` searches the query's text: SQL on the index ``found`` that ``select`` joins, then its values.
    """
    where: list[str] = [*condition[:1]]
    values: list[Any] = [*condition[1:]]
    position = "found.rowid" if condition else "position"

    def only(column: str, value: object) -> None:
        where.append(f"{column} ?")
        values.append(value)

    if query.status is not None:
        only("status =", query.status)
    if query.pipeline_id is not None:
        only("pipeline_id =", query.pipeline_id)
    if query.warnings is not None:
        where.append("warned" if query.warnings else "NOT warned")
    if query.before is not None:
        only(f"{position} <", min(query.before, MAX_INTEGER))
    statement = f"{select}{' WHERE ' if where else ''}{' AND '.join(where)} ORDER BY {position} DESC LIMIT ?"
    return [
        FileMatch(at_position, pid, decoded(FileStatus, status), at, decoded(unpack, record).to_json())
        for at_position, pid, status, at, record in db.execute(statement, (*values, page_size(query)))
    ]


def sweep_files(db: sqlite3.Connection, before: float) -> bool:
    """Remove at most 100 rows of files deleted before the wall-clock time; return whether there may be more."""
    removed = db.execute(
        "DELETE FROM files WHERE position IN (SELECT position FROM (SELECT position, changed_at FROM files"
        f" WHERE status = 'deleted' ORDER BY position LIMIT {SWEEP_ROWS}) WHERE changed_at < ?)",
        (before,),
    ).rowcount
    return removed == SWEEP_ROWS


def _row(pipeline_id: str, key: Key, change: _Change) -> BatchRow:
    status, at, position, started, file = change
    message = None if file.error is None else file.error.message.casefold()
    row = (position, pipeline_id, key_to_text(key), status, at, started, file.name.casefold(), message, pack(file))
    return FILE, *row, is_warned(status, file)
