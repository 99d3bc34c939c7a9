"""The inbox: takes everything that an append changes, in one statement.

Each statement of sqlite3 gives up the GIL while it runs, and beside a thread that computes it may get that back as late
as 5 ms after: in a transaction of seven statements an append of one event took tens of milliseconds there. As rows of a
view whose trigger puts each where it belongs it is one statement, and a transaction by itself.
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
FILE_GONE = "file gone"
ATTEMPT = "attempt"
ATTEMPT_GONE = "attempt gone"
PIPELINE = "pipeline"
GAP = "gap"

Row = tuple[object, ...]
"""What kind of change it is, one of the above, then the values of the columns that it sets or is found by."""

_VALUES = "abcdefghi"
_WIDTH = 1 + len(_VALUES)
_NOTHING: Row = (None,) * _WIDTH


def _new(count: int) -> str:
    return ", ".join(f"new.{value}" for value in _VALUES[:count])


# TEMP, so that it is of this connection and no part of the file's format. A row of no kind changes nothing.
_VIEW = f"CREATE TEMP VIEW inbox AS SELECT NULL AS kind, {', '.join(f'NULL AS {value}' for value in _VALUES)}"
_TRIGGER = f"""
CREATE TEMP TRIGGER inbox_taken INSTEAD OF INSERT ON inbox BEGIN
    INSERT INTO events SELECT {_new(9)} WHERE new.kind = '{EVENT}';
    DELETE FROM events WHERE new.kind = '{PRUNE}' AND position <= new.a;
    DELETE FROM files WHERE new.kind = '{FILE_GONE}' AND pipeline_id = new.a AND file_key = new.b;
    INSERT OR REPLACE INTO files SELECT {_new(9)} WHERE new.kind = '{FILE}';
    DELETE FROM attempts WHERE new.kind = '{ATTEMPT_GONE}' AND pipeline_id = new.a AND file_key = new.b;
    INSERT OR REPLACE INTO attempts SELECT {_new(4)} WHERE new.kind = '{ATTEMPT}';
    INSERT OR REPLACE INTO gaps SELECT {_new(2)} WHERE new.kind = '{GAP}';
    INSERT OR REPLACE INTO pipelines SELECT {_new(8)} WHERE new.kind = '{PIPELINE}';
END
"""


def install(db: sqlite3.Connection) -> None:
    """Make the inbox of a connection that is to write."""
    db.execute("PRAGMA temp_store = MEMORY")
    db.execute(_VIEW)
    db.execute(_TRIGGER)


def put(db: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Make the changes, in this order and all or none; 256 of them are one statement."""
    alone = len(rows) > MAX_ROWS_A_STATEMENT and not db.in_transaction
    with transaction(db) if alone else nullcontext():
        for start in range(0, len(rows), MAX_ROWS_A_STATEMENT):
            _put(db, rows[start : start + MAX_ROWS_A_STATEMENT])


def _put(db: sqlite3.Connection, rows: Sequence[Row]) -> None:
    # A few sizes, so that a handful of prepared statements serves every batch.
    size = min(1 << (len(rows) - 1).bit_length(), -(-len(rows) // 32) * 32)
    values: list[object] = []
    for row in rows:
        values += row
        values += _NOTHING[len(row) :]
    values += _NOTHING * (size - len(rows))
    db.execute(_statement(size), values)


@lru_cache
def _statement(rows: int) -> str:
    row = f"({','.join('?' * _WIDTH)})"
    return f"INSERT INTO inbox VALUES {','.join([row] * rows)}"
