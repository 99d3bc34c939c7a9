"""Finds files that are still being written: a file is ingested once it has not changed for a while."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from rag_pipeline.sources.source import FoundFile


class _Sighting(NamedTuple):
    version: str
    since: float


class StabilityCheck:
    """Remembers since when new or changed files have had the same version; pure, no clock.

    A file that was modified more than ``seconds`` ago is stable at once. If its modification time lies in the future,
    as on a network mount with another clock, only the scans count: they must see the same version for ``seconds``.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._sightings: dict[str, _Sighting] = {}

    def wait_for(self, file: FoundFile, *, wall: float, mono: float) -> float:
        """Return the seconds until the file is stable, 0 if it is; ``wall`` and ``mono`` are the clocks now."""
        age = wall - file.modified_at
        if age >= self.seconds:
            return 0.0
        sighting = self._sightings.get(file.file_id)
        if sighting is None or sighting.version != file.version:
            sighting = self._sightings[file.file_id] = _Sighting(file.version, mono)
        by_scans = sighting.since + self.seconds - mono
        return max(0.0, by_scans if age < 0 else min(self.seconds - age, by_scans))

    def keep(self, file_ids: Collection[str]) -> None:
        """Forget all but these files."""
        self._sightings = {key: sighting for key, sighting in self._sightings.items() if key in file_ids}
