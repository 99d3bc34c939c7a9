"""Writes all changes of an append in one statement.

sqlite3 releases the GIL for each statement, and beside a thread that computes it gets the GIL back up to 5 ms later. So
a transaction of seven statements took tens of milliseconds for one event. Here all changes are rows of one view, whose
trigger writes each to its table: one statement, which is a transaction by itself.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import nullcontext
from functools import lru_cache

from rag_pipeline.journal.sqlite.schema import transaction

MAX_ROWS_A_STATEMENT = 256

EVENT = "event"
PRUNE = "prune"
FILE = "file"
REMOVE_FILE = "remove file"
ATTEMPT = "attempt"
REMOVE_ATTEMPT = "remove attempt"
PIPELINE = "pipeline"
GAP = "gap"

BatchRow = tuple[object, ...]
"""The kind of a change, one of the above, then the values of the columns that it sets or is found by."""

_VALUES = "abcdefghij"
_WIDTH = 1 + len(_VALUES)
_EMPTY_ROW: BatchRow = (None,) * _WIDTH


def _new(count: int) -> str:
    return ", ".join(f"new.{value}" for value in _VALUES[:count])


# TEMP: it belongs to the connection, not to the file. A row without a kind changes nothing.
_VIEW = f"CREATE TEMP VIEW batch AS SELECT NULL AS kind, {', '.join(f'NULL AS {value}' for value in _VALUES)}"
_TRIGGER = f"""
CREATE TEMP TRIGGER batch_inserted INSTEAD OF INSERT ON batch BEGIN
    INSERT INTO events SELECT {_new(9)} WHERE new.kind = '{EVENT}';
    DELETE FROM events WHERE new.kind = '{PRUNE}' AND position <= new.a;
    DELETE FROM files WHERE new.kind = '{REMOVE_FILE}' AND pipeline_id = new.a AND file_key = new.b;
    INSERT OR REPLACE INTO files SELECT {_new(10)} WHERE new.kind = '{FILE}';
    DELETE FROM attempts WHERE new.kind = '{REMOVE_ATTEMPT}' AND pipeline_id = new.a AND file_key = new.b;
    INSERT OR REPLACE INTO attempts SELECT {_new(4)} WHERE new.kind = '{ATTEMPT}';
    INSERT OR REPLACE INTO gaps SELECT {_new(2)} WHERE new.kind = '{GAP}';
    INSERT OR REPLACE INTO pipelines SELECT {_new(8)} WHERE new.kind = '{PIPELINE}';
END
"""


def install(db: sqlite3.Connection) -> None:
    """Create the view and its trigger on a connection that will write."""
    db.execute("PRAGMA temp_store = MEMORY")
    db.execute(_VIEW)
    db.execute(_TRIGGER)


def insert(db: sqlite3.Connection, rows: Sequence[BatchRow]) -> None:
    """Make the changes in order, all or none; up to 256 are one statement."""
    alone = len(rows) > MAX_ROWS_A_STATEMENT and not db.in_transaction
    with transaction(db) if alone else nullcontext():
        for start in range(0, len(rows), MAX_ROWS_A_STATEMENT):
            _insert(db, rows[start : start + MAX_ROWS_A_STATEMENT])


def _insert(db: sqlite3.Connection, rows: Sequence[BatchRow]) -> None:
    # Padded to a few sizes, so a handful of prepared statements serves every batch.
    size = min(1 << (len(rows) - 1).bit_length(), -(-len(rows) // 32) * 32)
    values: list[object] = []
    for row in rows:
        values += row
        values += _EMPTY_ROW[len(row) :]
    values += _EMPTY_ROW * (size - len(rows))
    db.execute(_statement(size), values)


@lru_cache
def _statement(rows: int) -> str:
    row = f"({','.join('?' * _WIDTH)})"
    return f"INSERT INTO batch VALUES {','.join([row] * rows)}"
