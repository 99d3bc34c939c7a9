"""Tells moved files from deleted ones, where a move gives a file another id; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from rag_pipeline.pipelines.following.source import FoundFile

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
    """Remembers size and modification time of missing files; ``stored`` has those of the stored ones at the start.

    waits: whether the last scan has missed files that may have moved to one that is still to be read.
    """

    def __init__(self, stored: Mapping[str, Content]) -> None:
        self.waits = False
        self._stored = stored
        self._files: Mapping[str, FoundFile] = {}
        self._missing: dict[str, Content] = {}

    def judge(
        self,
        missing: Iterable[str],
        files: Mapping[str, FoundFile],
        unread: Callable[[], Iterable[str]],
        may_move: Callable[[str], bool],
        is_elsewhere: Callable[[str], bool],
    ) -> Missing:
        """Return which of the missing files have moved and which are gone.

        ``files`` are all that were found, ``unread`` returns the ids of those that are still to be read.
        ``may_move`` is False for a file that is not stored, or that the source knows to be gone.
        ``is_elsewhere`` says whether the text of a file is also stored under the id of another one that was found.
        """
        missing = list(missing)
        before, self._files = self._files, files
        self._missing = {key: content for key in missing if (content := self._content(key, before)) is not None}
        new = {content_of(files[key]) for key in unread() if key in files} if missing else set()
        # One that has a copy waits, too: the copy may change before the new file is read.
        settled = [key for key in missing if not may_move(key) or self._missing.get(key) not in new]
        moved = [key for key in settled if is_elsewhere(key)]
        known = frozenset(moved)
        gone = [key for key in settled if key not in known]
        self.waits = len(moved) + len(gone) < len(missing)
        return Missing(moved, gone)

    def _content(self, key: str, before: Mapping[str, FoundFile]) -> Content | None:
        if key in before:
            return content_of(before[key])
        return self._missing.get(key) or self._stored.get(key)
