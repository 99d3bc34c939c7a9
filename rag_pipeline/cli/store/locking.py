"""Finds out which process has locked a state folder, and locks it for changes that exclude pipelines."""

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


def lock_owner(state_dir: Path) -> str | None:
    """Return the id of the process that has locked the folder, None if none has; writes nothing.

    Takes a shared lock for a moment. A pipeline that starts at that moment finds the folder in use.
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
        return None  # the file system has no locks, so no pipeline can hold one
    finally:
        os.close(lock)
    return None


def abandoned_lease_owner(state_dir: Path) -> str | None:
    """Return the owner name of leases that a killed process of this folder left; None while a process has the lock."""
    if not (state_dir / OWNER_NAME).is_file() or lock_owner(state_dir) is not None:
        return None
    return owner_of(state_dir.absolute())


@contextmanager
def locked(state_dir: Path, key: str) -> Iterator[None]:
    """Lock the folder if it exists; raises StateError if another process has the lock."""
    if not state_dir.is_dir():
        yield
        return
    with StateFolder(state_dir, key):
        yield


@contextmanager
def lease_owner(state_dir: Path, key: str) -> Iterator[str]:
    """Yield the owner name for a lease in PostgreSQL.

    It is the name of the state folder if the folder can be locked: then the lease of a pipeline that was killed there
    is taken over at once. If other pipelines run in the folder, a random name is used: the lease decides.
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
