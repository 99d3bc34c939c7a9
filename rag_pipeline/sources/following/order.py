"""Which files are worked on first and which last, where people asked for that."""

from __future__ import annotations

from collections.abc import Iterable

from rag_pipeline.sources.following.source import FoundFile


class Order:
    """Remembers, over any number of plans, the files to hurry and those put back; pure, no lock.

    Both in the order in which they were asked for, until they are begun.
    """

    def __init__(self) -> None:
        self._first: dict[str, None] = {}
        self._last: dict[str, None] = {}

    def hurry(self, file_id: str) -> None:
        """Do this file before the others."""
        self.begun(file_id)
        self._first[file_id] = None

    def postpone(self, file_id: str) -> None:
        """Do this file after the others."""
        self.begun(file_id)
        self._last[file_id] = None

    def begun(self, file_id: str) -> None:
        """Forget a file, which is done in its turn the next time."""
        self._first.pop(file_id, None)
        self._last.pop(file_id, None)

    def sort(self, files: Iterable[FoundFile]) -> list[FoundFile]:
        """Return the files with those to hurry first and those put back last, the others as they come."""
        files = list(files)
        if not self._first and not self._last:
            return files
        place = {key: number - len(self._first) for number, key in enumerate(self._first)}
        place |= {key: number for number, key in enumerate(self._last, 1)}
        return sorted(files, key=lambda file: place.get(file.file_id, 0))

    def keep(self, file_ids: Iterable[str]) -> None:
        """Forget all but these files."""
        kept = frozenset(file_ids) if self._first or self._last else frozenset()
        self._first = {key: None for key in self._first if key in kept}
        self._last = {key: None for key in self._last if key in kept}
