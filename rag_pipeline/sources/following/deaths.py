"""Counts the deaths of the process during the work on a file, so that one poison file is no endless crash loop.

A file is counted before the work on it begins. What was under way at a death is a suspect: it comes last at the next
start, and the crew begins one suspect at a time. Of several that were under way the next death then names the one that
kills. After three deaths it fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rag_pipeline.errors import RagPipelineError
from rag_pipeline.sources.following.source import FoundFile
from rag_pipeline.sources.ledger import Ledger

MAX_DEATHS = 3


class ProcessDiedError(RagPipelineError, RuntimeError):
    """The process died each time that the file was worked on."""


class Deaths:
    """The deaths of one pipeline's files; safe to call from several threads."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._found = ledger.take_deaths()

    def is_suspect(self, file: FoundFile) -> bool:
        """Return whether the process died during the work on this version of the file."""
        return self._deaths(file) > 0

    def check(self, file: FoundFile) -> None:
        """Raise ProcessDiedError for a file that has killed the process too often."""
        deaths = self._deaths(file)
        if deaths >= MAX_DEATHS:
            raise ProcessDiedError(f"{file.name}: the process died {deaths} times while this file was worked on")

    @contextmanager
    def counted(self, file: FoundFile) -> Iterator[None]:
        """Count the file while the block lasts; a block that comes to an end, in whatever way, is no death."""
        self._ledger.begin(file.file_id, file.version, self._deaths(file))
        try:
            yield
        finally:
            self._ledger.leave(file.file_id)

    def excuse(self) -> None:
        """Count no death from here on: the process is being stopped."""
        self._ledger.excuse()

    def forget(self, file_id: str) -> None:
        """Forget the deaths of a file: the work on it has come to an end, or somebody asked for another try."""
        if self._found.pop(file_id, None) is not None:
            self._ledger.forget_deaths(file_id)

    def _deaths(self, file: FoundFile) -> int:
        found = self._found.get(file.file_id)
        return found.deaths if found is not None and found.version == file.version else 0
