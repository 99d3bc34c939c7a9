"""Who holds a state folder, and holding it for a change that no pipeline may run beside."""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rag_pipeline.common import file_lock
from rag_pipeline.errors import StateError
from rag_pipeline.ingest.store.factory import OWNER_NAME, owner_of
from rag_pipeline.sources.state_folder import LOCK_NAME, StateFolder


def holder_of(state_dir: Path) -> str | None:
    """Return the number of the process that holds the folder, None if none does; writes nothing.

    The lock is tried for a moment. A pipeline that starts within that moment finds the folder in use.
    """
    try:
        lock = os.open(state_dir / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return file_lock.holder(lock)
    except OSError:
        return None  # a file system without locks: then no pipeline can hold it either
    finally:
        os.close(lock)
    return None


def left_lease(state_dir: Path) -> str | None:
    """Return the owner of the leases that a killed process of this folder left; None while a process holds it."""
    if not (state_dir / OWNER_NAME).is_file() or holder_of(state_dir) is not None:
        return None
    return owner_of(state_dir.absolute())


@contextmanager
def held(state_dir: Path, key: str) -> Iterator[None]:
    """Keep pipelines from starting in the folder, which is not made; raises StateError if a process holds it."""
    if not state_dir.is_dir():
        yield
        return
    with StateFolder(state_dir, key):
        yield


@contextmanager
def lease_owner(state_dir: Path, key: str) -> Iterator[str]:
    """Give the name under which a lease in PostgreSQL is taken.

    It is that of the state folder if it can be held: then the lease of a pipeline that was killed there need not run
    out. A folder that runs other pipelines, or none, is no reason to refuse: the lease says who runs this one.
    """
    if state_dir.is_dir():
        try:
            folder = StateFolder(state_dir, key)
        except StateError:
            folder = None
        if folder is not None:
            with folder:
                yield owner_of(folder.path)
            return
    yield f"{socket.gethostname()}: rag-pipeline store ({secrets.token_hex(8)})"
