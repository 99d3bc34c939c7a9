"""Tells moved files from deleted ones, where a move gives a file another id; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from rag_pipeline.sources.following.source import FoundFile

Content = tuple[int, float]
"""Size and modification time: what a move leaves as it was."""


def content_of(file: FoundFile) -> Content:
    """Return what tells that a file found elsewhere may be this one."""
    return file.size, file.modified_at


class Missing(NamedTuple):
    """The missing files of a scan.

    moved: their text is stored under the id of a file that is there, so none is lost with them.
    gone: all others but those that may have moved to a file that is still to be read.
    """

    moved: list[str]
    gone: list[str]


class Moves:
    """Remembers the content of the files that were there; ``stored`` has that of the stored ones at the start.

    waits: whether the last scan has missed files that may have moved to one that is still to be read.
    """

    def __init__(self, stored: Mapping[str, Content]) -> None:
        self.waits = False
        self._files: Mapping[str, FoundFile] = {}
        self._left: dict[str, Content] = dict(stored)  # of files that are not in ``_files``

    def judge(
        self,
        missing: Iterable[str],
        files: Mapping[str, FoundFile],
        unread: Callable[[], Iterable[str]],
        may_move: Callable[[str], bool],
        is_elsewhere: Callable[[str], bool],
        is_kept: Callable[[str], bool],
    ) -> Missing:
        """Return which of the missing files have moved and which are gone.

        ``files`` are all that were found, ``unread`` returns the ids of those that are still to be read.
        ``may_move`` is False for a file that is not stored, or that the source knows to be gone.
        ``is_elsewhere`` says whether the text of a file is also stored under the id of another one that was found.
        ``is_kept`` says of any file whether it is known or under work: a later scan can miss it though this one
        does not, since it is busy, or in a folder that can't be listed.
        """
        missing = list(missing)
        self._remember(files, is_kept)
        new = {content_of(files[key]) for key in unread() if key in files} if missing else set()
        # One that has a copy waits, too: the copy may change before the new file is read.
        settled = [key for key in missing if not may_move(key) or self._left.get(key) not in new]
        moved = [key for key in settled if is_elsewhere(key)]
        known = frozenset(moved)
        gone = [key for key in settled if key not in known]
        self.waits = len(moved) + len(gone) < len(missing)
        return Missing(moved, gone)

    def _remember(self, files: Mapping[str, FoundFile], is_kept: Callable[[str], bool]) -> None:
        before, self._files = self._files, files
        left = {key: content for key, content in self._left.items() if key not in files and is_kept(key)}
        left.update((key, content_of(before[key])) for key in before.keys() - files.keys() if is_kept(key))
        self._left = left
