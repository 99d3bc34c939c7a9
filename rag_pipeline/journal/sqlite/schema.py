"""The SQLite journal's file: its format, how it is opened, and how its errors are told."""

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

SCHEMA_VERSION = 3
MIN_FREE_BYTES = 1 << 16
MAX_INTEGER = (1 << 63) - 1
_WAL_BYTES = 8 << 20

# generations: one for each time the file was opened, and the position it began at.
# files: one row per file, at the position of its last event, so that a listing by change is a walk along the table.
# name and message are case-folded, for the search; started is the position of the start while the file is in flight.
# gaps: pipelines of which events were dropped on the way here, so that files may be missing.
# attempts: how often files were tried whose last attempt failed, under the key that the next attempt will have.
_GENERATIONS = """
CREATE TABLE generations (nth INTEGER PRIMARY KEY, identity TEXT NOT NULL, start INTEGER NOT NULL);
"""
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
    UNIQUE (pipeline_id, file_key)
);
CREATE INDEX files_by_status ON files (status);
CREATE TABLE attempts (
    pipeline_id TEXT NOT NULL, file_key TEXT NOT NULL, attempt INTEGER NOT NULL, position INTEGER NOT NULL,
    PRIMARY KEY (pipeline_id, file_key)
) WITHOUT ROWID;
"""
# By the version it leads away from. Format 1 had one identity for good.
# Added to whatever format the file has: those who don't know the table leave it alone.
_GAPS = "CREATE TABLE IF NOT EXISTS gaps (pipeline_id TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID"
_MIGRATIONS = {
    0: _SCHEMA,
    1: f"""{_GENERATIONS}
INSERT INTO generations (identity, start) SELECT value, 0 FROM meta WHERE key = 'identity';
DROP TABLE meta;
""",
    2: "DROP TABLE recent;",
}


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


def open_searcher(path: Path) -> sqlite3.Connection:
    """Open such a file for searching, with a temporary database ``texts`` beside it; raises sqlite3.Error."""
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


class StoredDataError(ValueError):
    """What the file has can't be decoded."""


def decoded(decode: Callable[..., T], *stored: Any) -> T:
    """Return what is made of stored values; raises StoredDataError if they are not what was once written."""
    try:
        return decode(*stored)
    except (ValueError, TypeError, LookupError) as error:
        raise StoredDataError(f"{type(error).__name__}: {error}") from error


def broken(path: Path, error: Exception) -> JournalError | None:
    """Return the one line that says what is wrong with the file; None for an error that is none of the file's."""
    if isinstance(error, StoredDataError) or _is_damage(error):
        return JournalError(
            f"{path} is damaged ({error}): remove it, only the history of events and files is lost; "
            "what is stored in the vector store stays"
        )
    if isinstance(error, sqlite3.OperationalError):
        return JournalError(f"{path} can't be used: {'the disk is full' if _is_full(path, error) else error}")
    # ProgrammingError, IntegrityError and so on: a statement of ours, or a value that nobody foresaw.
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
    # Taking the write lock now shows a read-only or full disk at the start, not at the first event.
    with transaction(db):
        steps = [_SCHEMA] if version == 0 else [_MIGRATIONS[step] for step in range(version, SCHEMA_VERSION)]
        for statement in filter(str.strip, ";".join(steps).split(";")):
            db.execute(statement)
        db.execute(_GAPS)
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _is_full(path: Path, error: sqlite3.Error) -> bool:
    # Where SQLite can't even make its files on a full disk, it speaks of an I/O error.
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
        return True
    return path.parent.is_dir() and shutil.disk_usage(path.parent).free < MIN_FREE_BYTES
