"""The processes that a process has started."""

from __future__ import annotations

import os
from pathlib import Path


def children(of: int | None = None) -> set[int]:
    """Return the ids of the living children of a process, this one by default."""
    # Not from /proc/<pid>/task/*/children: a thread may end while its list is read, and the kernel calls the lists
    # unreliable while children come and go.
    parent = os.getpid() if of is None else of
    found = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())
    return {pid for pid in found if _parent_of(pid) == parent}


def is_alive(pid: int) -> bool:
    """Return whether the process runs: one that has ended and waits to be collected does not."""
    return _parent_of(pid) is not None


def _parent_of(pid: int) -> int | None:
    """Return the parent of a living process; None for any other."""
    try:
        state, parent, *_ = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):  # it ended before it was opened, or before it was read
        return None
    return None if state in "ZX" else int(parent)
