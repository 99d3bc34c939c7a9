"""One SQLite file in the state folder: opened, checked, and its errors told in one line."""

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
    """A SQLite file under a lock; safe to call from several threads.

    ``steps`` has, for each version, the statements that it adds to the one before, parted by semicolons. ``rebuilt``
    says, in an error, what becomes of a file that is removed. Raises :class:`~rag_pipeline.errors.StateError` if the
    file is damaged, of a newer version or can't be written.
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
        (found,) = self._db.execute("PRAGMA user_version").fetchone()
        if found > len(steps):
            raise StateError(
                f"{self._path} was written by a newer version of rag-pipeline "
                f"(format {found}, this one knows {len(steps)}): upgrade, or choose another state folder"
            )
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("PRAGMA busy_timeout = 5000")
        # Taking the write lock now shows a read-only or full disk at the start, not at the first write.
        with self.transaction():
            for step in steps[found:]:
                for statement in filter(str.strip, step.split(";")):
                    self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version = {len(steps)}")

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
        # A file that is none of SQLite's, or not whole, has this class; what is derived from it says other things.
        if type(error) is sqlite3.DatabaseError:
            return StateError(f"{self._path} is damaged ({error}): remove it, {self._rebuilt}")
        # On a full disk SQLite speaks of an I/O error where it can't even make its files.
        is_operational = isinstance(error, sqlite3.OperationalError)
        full = is_operational and self._disk_is_full()
        broken = StateError(f"{self._path} can't be used: {'the disk is full' if full else error}")
        broken.retryable = is_operational  # a full disk, a lock, a share that is away: all of these pass
        return broken

    def _disk_is_full(self) -> bool:
        return self._path.parent.is_dir() and shutil.disk_usage(self._path.parent).free < MIN_FREE_BYTES
