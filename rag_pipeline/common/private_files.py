"""Files and folders that only their owner may open: the state holds the text of documents, and tokens."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
from contextlib import suppress
from pathlib import Path

FOLDER_MODE = 0o700
FILE_MODE = 0o600
_OTHERS = 0o077
_PR_SET_DUMPABLE = 4

logger = logging.getLogger(__name__)
_told: set[str] = set()


def keep_process_private() -> None:
    """Have this process make files for their owner alone, and close its memory and environment to other processes.

    For commands, which own their process; a library must leave the umask of its host alone. What libraries write, such
    as LanceDB, is covered too.
    """
    os.umask(_OTHERS)
    close_memory()


def close_memory() -> None:
    """Close this process's memory and ``/proc/PID/environ`` to other processes of its user, where the system can.

    It writes no core dumps from then on; root can still read everything.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def make_private_folder(path: Path) -> None:
    """Make the folder and those above it that are missing, each for its owner alone; raises OSError.

    A folder that is there stays as it is.
    """
    try:
        path.mkdir(FOLDER_MODE)
    except FileNotFoundError:
        if path.parent == path:
            raise
        make_private_folder(path.parent)
        path.mkdir(FOLDER_MODE, exist_ok=True)
    except FileExistsError:
        if not path.is_dir():
            raise


def open_private(path: Path | str, flags: int) -> int:
    """Return a descriptor of the file, made for its owner alone if it is missing; raises OSError."""
    return os.open(path, flags | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)


def create_private(path: Path) -> None:
    """Make an empty file for its owner alone, unless it is there or can't be made.

    SQLite opens it then, and gives its ``-wal`` and ``-shm`` the same mode. An existing file is not even opened:
    closing it would release the locks that another connection of this process has on it.
    """
    with suppress(OSError):
        os.close(open_private(path, os.O_WRONLY | os.O_EXCL))


def write_private(path: Path, text: str) -> None:
    """Write a text file, made for its owner alone if it is missing; raises OSError."""
    with os.fdopen(open_private(path, os.O_WRONLY | os.O_TRUNC), "w", encoding="utf-8") as file:
        file.write(text)


def warn_if_open(folder: Path) -> None:
    """Log one line, once for each folder, if others than its owner may open it, or if it is another user's."""
    try:
        info = folder.stat()
    except OSError:
        return
    reason = None
    if info.st_mode & _OTHERS:
        reason = f"can be opened by other users (mode {info.st_mode & 0o777:04o}): run chmod -R go-rwx on it"
    elif info.st_uid not in (0, os.geteuid()):
        reason = f"belongs to another user (uid {info.st_uid}), who can read what is in it: run chown on it"
    if reason is not None and str(folder) not in _told:
        _told.add(str(folder))
        logger.warning("the state folder %s %s; it holds the text of documents", folder, reason)
