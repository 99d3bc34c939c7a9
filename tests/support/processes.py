"""Child processes and native threads, as the kernel lists them."""

from __future__ import annotations

import os
from pathlib import Path


def child_processes(of: int | None = None) -> set[int]:
    """Return the ids of the living children of a process, by default of this one."""
    # Not from /proc/<pid>/task/*/children: a thread may end while its list is read, and the kernel documents the lists
    # as unreliable while children come and go.
    parent = os.getpid() if of is None else of
    found = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())
    return {pid for pid in found if _parent_of(pid) == parent}


def is_alive(pid: int) -> bool:
    """Return whether the process runs; a zombie does not."""
    return _parent_of(pid) is not None


def native_threads() -> int:
    """Return the number of threads of this process; ``threading`` also lists native threads that ended."""
    return len(list(Path("/proc/self/task").iterdir()))


def _parent_of(pid: int) -> int | None:
    """Return the parent of a living process; None for any other."""
    try:
        state, parent, *_ = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):  # it ended before the file was opened or read
        return None
    return None if state in "ZX" else int(parent)
