"""Tells moved files from deleted ones where a move gives a file another id; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from rag_pipeline.sources.source import FoundFile, MoveKey


class MissingFiles(NamedTuple):
    """The missing files of a scan, without those that may still turn out to have moved.

    moved: their text is stored under the id of a file that the scan found too, so deleting them loses nothing.
    gone: all others.
    """

    moved: list[str]
    gone: list[str]


class MoveDetector:
    """Remembers the move keys of the files that were there; ``stored`` has those of the stored files at the start.

    is_waiting: whether the last scan missed files that may have moved to a file that is not ingested yet.
    """

    def __init__(self, stored: Mapping[str, MoveKey]) -> None:
        self.is_waiting = False
        self._files: Mapping[str, FoundFile] = {}
        self._left: dict[str, MoveKey] = dict(stored)  # of files that are not in ``_files``

    def classify(
        self,
        missing: Iterable[str],
        files: Mapping[str, FoundFile],
        not_ingested: Callable[[], Iterable[str]],
        may_have_moved: Callable[[str], bool],
        has_copy: Callable[[str], bool],
        is_tracked: Callable[[str], bool],
    ) -> MissingFiles:
        """Return which of the missing files have moved and which are gone.

        files: everything that the scan found; ``not_ingested`` returns the ids of those still to be ingested.
        may_have_moved: False for a file that is not stored, or that the source knows to be gone.
        has_copy: whether the text is also stored under the id of another found file.
        is_tracked: whether a file is known or in work. A later scan can miss it though this one does not, because it
        is busy, or in a folder that can't be listed.
        """
        missing = list(missing)
        self._remember(files, is_tracked)
        new = {files[key].move_key for key in not_ingested() if key in files} if missing else set()
        # A file that has a copy waits too: the copy may change before the new file is ingested.
        decided = [key for key in missing if not may_have_moved(key) or self._left.get(key) not in new]
        moved = [key for key in decided if has_copy(key)]
        moved_set = frozenset(moved)
        gone = [key for key in decided if key not in moved_set]
        self.is_waiting = len(decided) < len(missing)
        return MissingFiles(moved, gone)

    def _remember(self, files: Mapping[str, FoundFile], is_tracked: Callable[[str], bool]) -> None:
        before, self._files = self._files, files
        left = {key: move_key for key, move_key in self._left.items() if key not in files and is_tracked(key)}
        left.update((key, before[key].move_key) for key in before.keys() - files.keys() if is_tracked(key))
        self._left = left
