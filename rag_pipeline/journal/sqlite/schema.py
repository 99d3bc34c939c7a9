"""The SQLite journal's file: its format, its connections, and its errors."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from rag_pipeline.common.private_files import create_private
from rag_pipeline.errors import JournalError

T = TypeVar("T")

SCHEMA_VERSION = 4
MIN_FREE_BYTES = 1 << 16
MAX_INTEGER = (1 << 63) - 1
_WAL_BYTES = 8 << 20

# generations: one for each opening of the file, with the position at which it began.
# files: one row for each file, at the position of its last event, so a list ordered by change is a scan of the table.
# name and message are case-folded for the search; started is the position of the start while the file is in flight.
# warned is 1 for a completed file with warnings.
# gaps: pipelines that lost events before they were stored, so files may be missing.
# attempts: the attempts of files whose last attempt failed, under the key that the next attempt will have.
_GENERATIONS = """
CREATE TABLE generations (nth INTEGER PRIMARY KEY, identity TEXT NOT NULL, start INTEGER NOT NULL);
"""
_WARNED_FILES = "CREATE INDEX warned_files ON files (position) WHERE warned;"
_SCHEMA = f"""{_GENERATIONS}
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
    warned INTEGER NOT NULL DEFAULT 0, UNIQUE (pipeline_id, file_key)
);
CREATE INDEX files_by_status ON files (status);
{_WARNED_FILES}
CREATE TABLE attempts (
    pipeline_id TEXT NOT NULL, file_key TEXT NOT NULL, attempt INTEGER NOT NULL, position INTEGER NOT NULL,
    PRIMARY KEY (pipeline_id, file_key)
) WITHOUT ROWID;
"""
# Created whatever the version: earlier versions of the service ignore the table.
_GAPS = "CREATE TABLE IF NOT EXISTS gaps (pipeline_id TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID"
# By the version that each starts from. Version 1 had a single identity.
_MIGRATIONS = {
    0: _SCHEMA,
    1: f"""{_GENERATIONS}
INSERT INTO generations (identity, start) SELECT value, 0 FROM meta WHERE key = 'identity';
DROP TABLE meta;
""",
    2: "DROP TABLE recent;",
    3: f"ALTER TABLE files ADD COLUMN warned INTEGER NOT NULL DEFAULT 0; {_WARNED_FILES}",
}


def open_writer(path: Path) -> sqlite3.Connection:
    """Open the file for writing, created if necessary; raises sqlite3.Error, or JournalError for a newer format."""
    db = _connect(path)
    try:
        _prepare(db, path)
    except BaseException:
        db.close()
        raise
    return db


def open_reader(path: Path) -> sqlite3.Connection:
    """Open a file that :func:`open_writer` prepared, for reading beside the writer; raises sqlite3.Error."""
    db = _connect(path)
    try:
        db.execute("PRAGMA query_only = ON")
    except BaseException:
        db.close()
        raise
    return db


def open_searcher(path: Path) -> sqlite3.Connection:
    """Open the same file for searching, with a temporary database ``texts``; raises sqlite3.Error."""
    db = _connect(path)
    try:
        db.execute("ATTACH '' AS texts")
        db.execute("PRAGMA texts.journal_mode = MEMORY")
        db.execute("PRAGMA texts.synchronous = OFF")
    except BaseException:
        db.close()
        raise
    return db


@contextmanager
def transaction(db: sqlite3.Connection, begin: str = "BEGIN IMMEDIATE") -> Iterator[None]:
    """Run the block as a transaction."""
    db.execute(begin)
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        # After some errors SQLite has rolled back by itself. If the rollback fails too, the first error says more.
        if db.in_transaction:
            with suppress(sqlite3.Error):
                db.execute("ROLLBACK")
        raise


class StoredDataError(ValueError):
    """The file contains values that can't be decoded."""


def decoded(decode: Callable[..., T], *stored: Any) -> T:
    """Decode stored values; raises StoredDataError if they are invalid."""
    try:
        return decode(*stored)
    except (ValueError, TypeError, LookupError) as error:
        raise StoredDataError(f"{type(error).__name__}: {error}") from error


def file_error(path: Path, error: Exception) -> JournalError | None:
    """Return the error that says what is wrong with the file; None if the file is not at fault."""
    if isinstance(error, StoredDataError) or _is_damage(error):
        return JournalError(
            f"{path} is damaged ({error}): remove it; only the history of events and files is lost, "
            "the vector store is not affected"
        )
    if isinstance(error, sqlite3.OperationalError):
        return JournalError(f"{path} can't be used: {'the disk is full' if _is_full(path, error) else error}")
    # ProgrammingError, IntegrityError and so on: a bug, or an unexpected value.
    return None


def _is_damage(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    return type(error) is sqlite3.DatabaseError or str(error).startswith("Could not decode to UTF-8")


def _connect(path: Path) -> sqlite3.Connection:
    create_private(path)
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
    # Takes the write lock, so a read-only or full disk shows at the start, not at the first event.
    with transaction(db):
        steps = [_SCHEMA] if version == 0 else [_MIGRATIONS[step] for step in range(version, SCHEMA_VERSION)]
        for statement in filter(str.strip, ";".join(steps).split(";")):
            db.execute(statement)
        db.execute(_GAPS)
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _is_full(path: Path, error: sqlite3.Error) -> bool:
    # If SQLite can't even create its files on a full disk, it reports an I/O error.
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
        return True
    return path.parent.is_dir() and shutil.disk_usage(path.parent).free < MIN_FREE_BYTES
