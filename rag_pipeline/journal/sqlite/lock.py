"""The lock file of a SQLite journal: one process writes the journal at a time."""

from __future__ import annotations

import fcntl
import os
import weakref
from contextlib import suppress
from pathlib import Path

from rag_pipeline.common import file_lock
from rag_pipeline.common.private_files import open_private
from rag_pipeline.errors import JournalError


class JournalLock:
    """A lock file beside the database at ``path``, held until :meth:`close` or the end of the process.

    SQLite's own locks last one transaction, so two processes that number events would take turns. Raises
    :class:`~rag_pipeline.errors.JournalError` if another process holds the lock, naming it, or if the file can't be
    made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        _locks.add(self)
        try:
            # Never removed: another process may be about to lock this very file.
            self._fd: int | None = open_private(f"{path}.lock", os.O_RDWR)
        except OSError as error:
            raise self._unusable(error) from error
        try:
            self._hold(self._fd)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Release the lock; idempotent."""
        fd, self._fd = self._fd, None
        if fd is not None:
            with suppress(OSError):
                fcntl.flock(fd, fcntl.LOCK_UN)  # explicit, because a forked child may still have the descriptor
            os.close(fd)

    def forget(self) -> None:
        """Close the descriptor in a forked child; the parent keeps the lock."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def _hold(self, fd: int) -> None:
        try:
            file_lock.lock(fd)
        except BlockingIOError:
            holder = file_lock.holder(fd)
            if holder == str(os.getpid()):
                raise JournalError(
                    f"the journal {self._path} is in use by another server of this process: "
                    "give each server its own state_dir"
                ) from None
            raise JournalError(f"the journal {self._path} is in use by process {holder}") from None
        except OSError as error:
            raise self._unusable(error) from error

    def _unusable(self, error: OSError) -> JournalError:
        return JournalError(f"{self._path} can't be used: its lock file can't be written ({error.strerror})")


_locks: weakref.WeakSet[JournalLock] = weakref.WeakSet()


def _after_fork() -> None:
    for lock in list(_locks):
        lock.forget()


os.register_at_fork(after_in_child=_after_fork)
