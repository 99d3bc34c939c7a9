"""The files that are ingested first or last: people asked for it, or the file was put back."""

from __future__ import annotations

from collections.abc import Iterable

from rag_pipeline.sources.source import FoundFile


class Priorities:
    """Remembers prioritized and postponed files, over any number of plans, until they start; pure, no lock."""

    def __init__(self) -> None:
        self._first: dict[str, None] = {}
        self._last: dict[str, None] = {}

    def prioritize(self, file_id: str) -> None:
        """Ingest this file before the others."""
        self.clear(file_id)
        self._first[file_id] = None

    def postpone(self, file_id: str) -> None:
        """Ingest this file after the others."""
        self.clear(file_id)
        self._last[file_id] = None

    def clear(self, file_id: str) -> None:
        """Forget the priority of a file."""
        self._first.pop(file_id, None)
        self._last.pop(file_id, None)

    def sort(self, files: Iterable[FoundFile]) -> list[FoundFile]:
        """Return the files: prioritized ones first, postponed ones last, the others in the given order."""
        files = list(files)
        if not self._first and not self._last:
            return files
        rank = {key: number - len(self._first) for number, key in enumerate(self._first)}
        rank |= {key: number for number, key in enumerate(self._last, 1)}
        return sorted(files, key=lambda file: rank.get(file.file_id, 0))

    def keep(self, file_ids: Iterable[str]) -> None:
        """Forget all but these files."""
        kept = frozenset(file_ids) if self._first or self._last else frozenset()
        self._first = {key: None for key in self._first if key in kept}
        self._last = {key: None for key in self._last if key in kept}
