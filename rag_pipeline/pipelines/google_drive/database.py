"""One SQLite file in the state folder: opened, checked, and its errors told in one line."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rag_pipeline.errors import StateError

MIN_FREE_BYTES = 1 << 16


class Database:
    """A SQLite file under a lock; safe to call from several threads.

    ``schema`` holds the statements that make it, parted by semicolons, and ``version`` their number. ``rebuilt`` says,
    in an error, what becomes of a file that is removed. Raises :class:`~rag_pipeline.errors.StateError` if the file is
    damaged, of a newer version or can't be written.
    """

    def __init__(self, path: Path, schema: str, version: int, *, rebuilt: str) -> None:
        self._path = path
        self._rebuilt = rebuilt
        self._lock = threading.RLock()  # protects the connection
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            try:
                self._prepare(schema, version)
            except BaseException:
                self._db.close()
                raise
        except sqlite3.Error as error:
            raise self._broken(error) from error

    def _prepare(self, schema: str, version: int) -> None:
        (found,) = self._db.execute("PRAGMA user_version").fetchone()
        if found > version:
            raise StateError(
                f"{self._path} was written by a newer version of rag-pipeline "
                f"(format {found}, this one knows {version}): upgrade, or choose another state folder"
            )
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("PRAGMA busy_timeout = 5000")
        # Taking the write lock now shows a read-only or full disk at the start, not at the first page.
        with self.transaction():
            if found == 0:
                for statement in filter(str.strip, schema.split(";")):
                    self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version = {version}")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make what is done in the block one step: all of it is kept, or nothing. Blocks may be nested."""
        with self._lock:
            if self._db.in_transaction:
                yield
                return
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield
                except BaseException:
                    self._db.execute("ROLLBACK")
                    raise
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                raise self._broken(error) from error

    def run(self, statement: str, values: Sequence[object] = ()) -> list[Any]:
        """Run one statement and return its rows."""
        with self._lock:
            try:
                return self._db.execute(statement, values).fetchall()
            except sqlite3.Error as error:
                raise self._broken(error) from error

    def close(self) -> None:
        """Write everything to the main file and close it; idempotent."""
        with self._lock, suppress(sqlite3.Error):
            self._db.close()

    def _broken(self, error: sqlite3.Error) -> StateError:
        if isinstance(error, sqlite3.OperationalError):
            # On a full disk SQLite speaks of an I/O error where it can't even make its files.
            full = self._path.parent.is_dir() and shutil.disk_usage(self._path.parent).free < MIN_FREE_BYTES
            return StateError(f"{self._path} can't be used: {'the disk is full' if full else error}")
        return StateError(f"{self._path} is damaged ({error}): remove it, {self._rebuilt}")
