"""The SQLite journal's file: its format, how it is opened, and how its errors are told."""

from __future__ import annotations

import secrets
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from itertools import chain
from pathlib import Path

from rag_pipeline.errors import JournalError

SCHEMA_VERSION = 1
MIN_FREE_BYTES = 1 << 16
MAX_ROWS_A_STEP = 256
MAX_INTEGER = (1 << 63) - 1
_WAL_BYTES = 8 << 20

# files: one row per file, at the position of its last event, so that a listing by change is a walk along the table.
# name and message are case-folded, for the search; started is the position of the start while the file is in flight.
# recent: a ring per pipeline and outcome, with what the lists of the state show: a file can stand there several times.
# attempts: how often files were tried whose last attempt failed, under the key that the next attempt will have.
_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE events (
    position INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, name TEXT NOT NULL, namespaces TEXT NOT NULL,
    pipeline_id TEXT, pipeline_type TEXT, epoch TEXT, seq INTEGER NOT NULL, text TEXT NOT NULL
);
CREATE TABLE pipelines (
    pipeline_id TEXT PRIMARY KEY, pipeline_type TEXT, epoch TEXT NOT NULL, seq INTEGER NOT NULL,
    fields TEXT NOT NULL, own TEXT NOT NULL, totals TEXT NOT NULL, position INTEGER NOT NULL
);
CREATE TABLE files (
    position INTEGER PRIMARY KEY, pipeline_id TEXT NOT NULL, file_key TEXT NOT NULL, status TEXT NOT NULL,
    changed_at REAL NOT NULL, started INTEGER, name TEXT NOT NULL, message TEXT, record TEXT NOT NULL,
    UNIQUE (pipeline_id, file_key)
);
CREATE INDEX files_by_status ON files (status);
CREATE TABLE recent (
    pipeline_id TEXT NOT NULL, status TEXT NOT NULL, slot INTEGER NOT NULL, nth INTEGER NOT NULL, record TEXT NOT NULL,
    PRIMARY KEY (pipeline_id, status, slot)
);
CREATE TABLE attempts (
    pipeline_id TEXT NOT NULL, file_key TEXT NOT NULL, attempt INTEGER NOT NULL, position INTEGER NOT NULL,
    PRIMARY KEY (pipeline_id, file_key)
) WITHOUT ROWID;
"""


def open_writer(path: Path) -> sqlite3.Connection:
    """Open the journal's file to write, made if it isn't there; raises sqlite3.Error, JournalError if it is newer."""
    db = _connect(path)
    try:
        _prepare(db, path)
    except BaseException:
        db.close()
        raise
    return db


def open_reader(path: Path) -> sqlite3.Connection:
    """Open a file that :func:`open_writer` has prepared for reading beside the writer; raises sqlite3.Error."""
    db = _connect(path)
    try:
        db.execute("PRAGMA query_only = ON")
    except BaseException:
        db.close()
        raise
    return db


@contextmanager
def transaction(db: sqlite3.Connection, begin: str = "BEGIN IMMEDIATE") -> Iterator[None]:
    """Commit what the block does, or nothing of it."""
    db.execute(begin)
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        # SQLite has rolled back by itself after some errors; where rolling back fails too, the first error tells more.
        if db.in_transaction:
            with suppress(sqlite3.Error):
                db.execute("ROLLBACK")
        raise


def write_rows(db: sqlite3.Connection, insert: str, rows: Sequence[tuple[object, ...]]) -> None:
    """Insert the rows in as few steps as it takes.

    Each step gives up the GIL, and a thread that computes may then keep it for 5 ms: with ``executemany``, a step a
    row, 1,000 rows took up to 1.2 s beside such a thread, and a fifth of that this way. Sizes are powers of two, so
    that a handful of prepared statements serves every batch.
    """
    done = 0
    while done < len(rows):
        size = min(MAX_ROWS_A_STEP, 1 << ((len(rows) - done).bit_length() - 1))
        values = list(chain.from_iterable(rows[done : done + size]))
        db.execute(_statement(insert, len(rows[done]), size), values)
        done += size


def broken(path: Path, error: Exception) -> JournalError:
    """Return the one line that says what is wrong with the file."""
    if isinstance(error, sqlite3.OperationalError):
        return JournalError(f"{path} can't be used: {'the disk is full' if _is_full(path, error) else error}")
    return JournalError(
        f"{path} is damaged ({error}): remove it, only the history of events and files is lost; "
        "what is stored in the vector store stays"
    )


@lru_cache(maxsize=128)
def _statement(insert: str, columns: int, rows: int) -> str:
    row = f"({','.join('?' * columns)})"
    return f"{insert} VALUES {','.join([row] * rows)}"


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA busy_timeout = 5000")
    return db


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise JournalError(
            f"{path} was written by a newer version of rag-pipeline "
            f"(format {version}, this one knows {SCHEMA_VERSION}): upgrade, or choose another state folder"
        )
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
    # Taking the write lock now shows a read-only or full disk at the start, not at the first event.
    with transaction(db):
        if version == 0:
            for statement in filter(str.strip, _SCHEMA.split(";")):
                db.execute(statement)
            db.execute("INSERT INTO meta VALUES ('identity', ?)", (secrets.token_hex(8),))
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _is_full(path: Path, error: sqlite3.Error) -> bool:
    # Where SQLite can't even make its files on a full disk, it speaks of an I/O error.
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
        return True
    return path.parent.is_dir() and shutil.disk_usage(path.parent).free < MIN_FREE_BYTES
