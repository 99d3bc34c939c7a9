"""Lock a file for one process; the file contains the id of the process that holds it."""

from __future__ import annotations

import fcntl
import os
from time import monotonic

from rag_pipeline.common import native
from rag_pipeline.common.liveness import is_alive

PATIENCE_SECONDS = 5.0
_PAUSE_SECONDS = 0.02


def lock(fd: int) -> None:
    """Lock the file and write this process's id into it; raises BlockingIOError if another process holds it.

    A forked child has a copy of its parent's locks until it runs a program of its own. So the lock of a killed process
    is waited for, at most 5 seconds.
    """
    deadline = monotonic() + PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not _is_dead(holder(fd)) or monotonic() >= deadline:
                raise
            native.Future().wait(_PAUSE_SECONDS)
        else:
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
            return


def holder(fd: int) -> str:
    """Return the id of the process that holds the lock, or held it last; "unknown" if the file has none."""
    return os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"


def _is_dead(process_id: str) -> bool:
    return process_id.isdecimal() and not is_alive(int(process_id))
