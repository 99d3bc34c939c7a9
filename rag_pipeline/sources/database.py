"""One SQLite file in the state folder; its errors are one line each."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rag_pipeline.common.private_files import create_private
from rag_pipeline.errors import StateError

MIN_FREE_BYTES = 1 << 16


class Database:
    """A SQLite file; thread-safe. Raises :class:`~rag_pipeline.errors.StateError` if it can't be used.

    steps: for each schema version the statements that it adds, separated by semicolons.
    rebuilt: says, in an error, what is rebuilt if the file is removed.
    """

    def __init__(self, path: Path, steps: Sequence[str], *, rebuilt: str) -> None:
        self._path = path
        self._rebuilt = rebuilt
        self._lock = threading.RLock()  # protects the connection
        try:
            create_private(path)
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            try:
                self._prepare(steps)
            except BaseException:
                self._db.close()
                raise
        except sqlite3.Error as error:
            raise self._broken(error) from error

    def _prepare(self, steps: Sequence[str]) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > len(steps):
            raise StateError(
                f"{self._path} was written by a newer version of rag-pipeline "
                f"(format {version}, this one knows {len(steps)}): upgrade, or choose another state folder"
            )
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("PRAGMA busy_timeout = 5000")
        # Taking the write lock now shows a read-only or full disk at the start, not at the first write.
        with self.transaction():
            for step in steps[version:]:
                for statement in filter(str.strip, step.split(";")):
                    self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version = {len(steps)}")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything that the block writes, or nothing. Blocks may be nested."""
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

    def run_many(self, statement: str, values: Iterable[Sequence[object]]) -> None:
        """Run one statement for each of the values."""
        with self._lock:
            try:
                self._db.executemany(statement, values)
            except sqlite3.Error as error:
                raise self._broken(error) from error

    def close(self) -> None:
        """Write everything to the main file and close it; idempotent."""
        with self._lock, suppress(sqlite3.Error):
            self._db.close()

    def _broken(self, error: sqlite3.Error) -> StateError:
        # A damaged file gives exactly this class; its subclasses mean other errors.
        if type(error) is sqlite3.DatabaseError:
            return StateError(f"{self._path} is damaged ({error}): remove it, {self._rebuilt}")
        # On a full disk SQLite reports an I/O error if it can't even create its files.
        is_operational = isinstance(error, sqlite3.OperationalError)
        full = is_operational and self._disk_is_full()
        broken = StateError(f"{self._path} can't be used: {'the disk is full' if full else error}")
        broken.retryable = is_operational  # a full disk, a lock, an unavailable share: all of these may pass
        return broken

    def _disk_is_full(self) -> bool:
        return self._path.parent.is_dir() and shutil.disk_usage(self._path.parent).free < MIN_FREE_BYTES
