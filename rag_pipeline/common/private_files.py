"""Files and folders for their owner alone: the state contains texts of documents, and tokens."""

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
_warned: set[str] = set()


def keep_process_private() -> None:
    """Make this process create files for their owner alone, and hide its memory and environment.

    Only for commands, which own their process: a library must not change the umask of its host. The umask also covers
    files of libraries such as LanceDB.
    """
    os.umask(_OTHERS)
    hide_memory()


def hide_memory() -> None:
    """Hide this process's memory and ``/proc/PID/environ`` from other processes of its user, on Linux.

    It then writes no core dumps. Root can still read everything.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def make_private_folder(path: Path) -> None:
    """Make the folder and its missing parents, each for its owner alone; raises OSError.

    Existing folders stay unchanged.
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
    """Open the file and return its descriptor; a missing file is made for its owner alone. Raises OSError."""
    return os.open(path, flags | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)


def create_private(path: Path) -> None:
    """Make an empty file for its owner alone, unless it exists or can't be made.

    SQLite opens it later, and gives its ``-wal`` and ``-shm`` the same mode. An existing file is not even opened:
    closing it would release the locks that another connection of this process has on it.
    """
    with suppress(OSError):
        os.close(open_private(path, os.O_WRONLY | os.O_EXCL))


def write_private(path: Path, text: str) -> None:
    """Write a text file; a missing file is made for its owner alone. Raises OSError."""
    with os.fdopen(open_private(path, os.O_WRONLY | os.O_TRUNC), "w", encoding="utf-8") as file:
        file.write(text)


def warn_if_open(folder: Path) -> None:
    """Log one line, once a folder, if other users may open it or own it."""
    try:
        info = folder.stat()
    except OSError:
        return
    reason = None
    if info.st_mode & _OTHERS:
        reason = f"can be opened by other users (mode {info.st_mode & 0o777:04o}): run chmod -R go-rwx on it"
    elif info.st_uid not in (0, os.geteuid()):
        reason = f"belongs to another user (uid {info.st_uid}), who can read it: run chown on it"
    if reason is not None and str(folder) not in _warned:
        _warned.add(str(folder))
        logger.warning("the state folder %s %s; it holds the text of documents", folder, reason)
