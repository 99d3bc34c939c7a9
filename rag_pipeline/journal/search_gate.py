"""Limits concurrent file searches: each may read every file, and many at once would slow down everything else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rag_pipeline.common import native
from rag_pipeline.errors import JournalBusyError

MOST_AT_ONCE = 8
PATIENCE_SECONDS = 2.0
_BUSY = "too many searches at once; try again in a second"


class SearchGate:
    """Runs one search at a time while a few more wait; any thread may call it."""

    def __init__(self, most: int = MOST_AT_ONCE, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._most = most
        self._patience = patience_seconds
        self._inside = 0
        self._lock = native.allocate_lock()  # protects the count
        self._turn = native.allocate_lock()  # held by the search that runs

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Run the block when its turn comes; raises JournalBusyError if that takes too long."""
        with self._lock:
            if self._inside >= self._most:
                raise JournalBusyError(_BUSY)
            self._inside += 1
        try:
            if not self._turn.acquire(timeout=self._patience):
                raise JournalBusyError(_BUSY)
            try:
                yield
            finally:
                self._turn.release()
        finally:
            with self._lock:
                self._inside -= 1
