"""Which files are still being written: a file is taken once nothing about it has changed for a while."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from rag_pipeline.sources.following.source import FoundFile


class _Seen(NamedTuple):
    version: str
    since: float


class Settling:
    """Remembers, for files that are new or changed, since when they have looked the same; pure, no clock.

    A file whose modification lies further back than ``seconds`` is taken at once. Where that can't be told, as with
    a clock of a network mount that is ahead, it counts for how long looks have seen the same version.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._seen: dict[str, _Seen] = {}

    def wait_for(self, file: FoundFile, *, wall: float, mono: float) -> float:
        """Return the seconds until the file may be taken, 0 for at once; ``wall`` and ``mono`` are the clocks now."""
        age = wall - file.modified_at
        if age >= self.seconds:
            return 0.0
        seen = self._seen.get(file.file_id)
        if seen is None or seen.version != file.version:
            seen = self._seen[file.file_id] = _Seen(file.version, mono)
        by_looks = seen.since + self.seconds - mono
        # An age below 0 is a clock that is ahead: it says nothing.
        return max(0.0, by_looks if age < 0 else min(self.seconds - age, by_looks))

    def keep(self, file_ids: Collection[str]) -> None:
        """Forget all but these files."""
        self._seen = {key: seen for key, seen in self._seen.items() if key in file_ids}
