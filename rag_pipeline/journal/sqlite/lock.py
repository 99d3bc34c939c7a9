"""The lock of a SQLite journal: one process writes it at a time."""

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
    """A lock file beside the database at ``path``, held until it is closed or the process ends, however it ends.

    SQLite's own locks last for a transaction each, and two processes that number events would take turns. Raises
    :class:`~rag_pipeline.errors.JournalError` if another holder is alive, naming its process, or if the file can't be
    made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        _locks.add(self)
        try:
            # Not removed when it is let go: another process may be about to lock the very file.
            self._fd: int | None = open_private(f"{path}.lock", os.O_RDWR)
        except OSError as error:
            raise self._unusable(error) from error
        try:
            self._hold(self._fd)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let another process have the journal; idempotent."""
        fd, self._fd = self._fd, None
        if fd is not None:
            with suppress(OSError):
                fcntl.flock(fd, fcntl.LOCK_UN)  # also where a forked child still holds a copy of the descriptor
            os.close(fd)

    def forget(self) -> None:
        """Close a forked child's copy of the descriptor: the lock is its parent's."""
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
                    "give each a state_dir of its own"
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
