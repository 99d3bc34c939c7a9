"""Counts crashes of the process per file, so that one poison file does not crash it in an endless loop.

A file is recorded before the work on it starts. Files in work at a crash are suspects: they come last at the next
start, and the pool runs one suspect at a time. If several were in work, the next crash shows which one is the cause.
After three crashes the file fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rag_pipeline.errors import RagPipelineError
from rag_pipeline.sources.ledger import Ledger
from rag_pipeline.sources.source import FoundFile

MAX_CRASHES = 3


class ProcessDiedError(RagPipelineError, RuntimeError):
    """The process died each time that the file was ingested."""


class CrashCounter:
    """The crashes of one pipeline's files; thread-safe."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._counts = ledger.count_crashes()

    def is_suspect(self, file: FoundFile) -> bool:
        """Return whether the process died during the work on this version of the file."""
        return self._crashes(file) > 0

    def check(self, file: FoundFile) -> None:
        """Raise ProcessDiedError for a file with too many crashes."""
        crashes = self._crashes(file)
        if crashes >= MAX_CRASHES:
            raise ProcessDiedError(f"{file.name}: the process died {crashes} times while this file was ingested")

    @contextmanager
    def count(self, file: FoundFile) -> Iterator[None]:
        """Count a crash if the process dies in the block; a block that ends in any way counts nothing."""
        self._ledger.mark_started(file.file_id, file.version, self._crashes(file))
        try:
            yield
        finally:
            self._ledger.mark_ended(file.file_id)

    def stop_counting(self) -> None:
        """Count no crash from here on: the process is being stopped."""
        self._ledger.mark_all_ended()

    def clear(self, file_id: str) -> None:
        """Forget a file's crashes: the work on it ended, or somebody asked for a retry."""
        if self._counts.pop(file_id, None) is not None:
            self._ledger.clear_crashes(file_id)

    def _crashes(self, file: FoundFile) -> int:
        counted = self._counts.get(file.file_id)
        return counted.crashes if counted is not None and counted.version == file.version else 0
