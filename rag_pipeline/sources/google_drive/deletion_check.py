"""Departures: decides of what the mirror does not show whether it is gone, or only was not shown.

A listing may leave out what is there, and a folder that can't be seen any more says nothing of the files in it. So a
file is gone only if Drive says so of the file itself (not there, in the trash), or if it lies in folders that can be
seen and are not below the watched one. Where neither is the case its text is kept, and Drive is asked again later.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from enum import Enum, auto

from rag_pipeline.sources.google_drive.api import DriveApi
from rag_pipeline.sources.google_drive.errors import FileUnavailableError
from rag_pipeline.sources.google_drive.mirror import Mirror
from rag_pipeline.sources.google_drive.records import DriveFile

RECHECK_SECONDS = 600.0
"""How long a file whose fate Drive leaves open is left alone."""

Check = Callable[[], None]


class Location(Enum):
    """Where something is, as far as Drive says."""

    BELOW = auto()
    """Below the watched folder."""
    OUTSIDE = auto()
    """In the trash, or in folders that are not below the watched one."""
    UNKNOWN = auto()
    """In folders that can't be seen."""


class DeletionCheck:
    """Asks Drive about single files; used by one thread. Its methods raise what :meth:`DriveApi.file` does."""

    def __init__(self, api: DriveApi, mirror: Mirror) -> None:
        self._api = api
        self._mirror = mirror
        self._gone: frozenset[str] = frozenset()
        self._left_open: dict[str, float] = {}
        self.begin()

    def begin(self) -> None:
        """Begin a look: what Drive said in the one before may not hold any more."""
        self._answers: dict[str, DriveFile | FileUnavailableError] = {}
        self._folders: dict[str, Location] = {}

    def is_gone(self, file_id: str) -> bool:
        """Return whether the last :meth:`confirm` has found that a file is gone."""
        return file_id in self._gone

    def recheck(self, check: Check) -> bool:
        """Ask for what a full pass should have shown and has not; return whether any of it is there.

        Folders come first: one that is there has to be listed, and then shows the files in it.
        """
        for file_ids in (self._mirror.unseen(folders=True), self._mirror.unseen(folders=False)):
            is_there = False
            for file_id in file_ids:
                check()
                answer = self._ask(file_id, check)
                if isinstance(answer, DriveFile):
                    self._mirror.put((answer,))
                    is_there = True
                elif answer.gone:
                    self._mirror.remove(file_id)
            if is_there:
                return True
        return False

    def confirm(self, file_ids: Iterable[str], check: Check) -> None:
        """Find out which of the files that the mirror does not show are gone; what is there is put into the mirror."""
        file_ids = set(file_ids)
        now = time.monotonic()
        since = now - RECHECK_SECONDS
        self._left_open = {key: at for key, at in self._left_open.items() if key in file_ids and at > since}
        gone = set()
        for file_id in sorted(file_ids - self._left_open.keys()):
            check()
            whereabouts = self._of_file(file_id, check)
            if whereabouts is Location.OUTSIDE:
                gone.add(file_id)
            elif whereabouts is Location.UNKNOWN:
                self._left_open[file_id] = now
        self._gone = frozenset(gone)

    @property
    def left_open(self) -> frozenset[str]:
        """The files that are not to be seen, and of which Drive does not say that they are gone."""
        return frozenset(self._left_open)

    def _of_file(self, file_id: str, check: Check) -> Location:
        mirror = self._mirror
        if mirror.is_removed(file_id):
            return Location.OUTSIDE
        left = mirror.left(file_id)
        # What Drive has told of the file before holds, if what is asked of its folders leaves no doubt.
        if left is not None and (left.trashed or self._among(left.parents, check) is Location.OUTSIDE):
            return Location.OUTSIDE
        answer = self._ask(file_id, check)
        if isinstance(answer, FileUnavailableError):
            return Location.OUTSIDE if answer.gone else Location.UNKNOWN
        if answer.trashed:
            return Location.OUTSIDE
        if not answer.parents:
            # Where a shortcut alone led to it, it never was in a folder. Else its folder was taken out of sight.
            by_shortcut = left is not None and not left.parents and not mirror.was_inside(file_id)
            return Location.OUTSIDE if by_shortcut else Location.UNKNOWN
        whereabouts = self._among(answer.parents, check)
        if whereabouts is Location.BELOW:
            mirror.put((answer,))
        return whereabouts

    def _of_folder(self, folder_id: str, check: Check) -> Location:
        known = self._folders.get(folder_id)
        if known is None:
            self._folders[folder_id] = Location.UNKNOWN  # for a loop
            known = self._folders[folder_id] = self._find_folder(folder_id, check)
        return known

    def _find_folder(self, folder_id: str, check: Check) -> Location:
        mirror = self._mirror
        if mirror.is_below(folder_id):
            return Location.BELOW
        if mirror.is_above(folder_id):
            return Location.OUTSIDE
        left = mirror.left(folder_id)
        if left is not None and (left.trashed or self._among(left.parents, check) is Location.OUTSIDE):
            return Location.OUTSIDE
        if mirror.is_removed(folder_id):
            return Location.UNKNOWN
        check()
        answer = self._ask(folder_id, check)
        if isinstance(answer, FileUnavailableError):
            return Location.UNKNOWN
        if answer.trashed:
            return Location.OUTSIDE
        if not answer.parents:
            # The top of a drive, or of what is shared. Inside before, its own folder was taken out of sight.
            return Location.UNKNOWN if mirror.was_inside(folder_id) else Location.OUTSIDE
        whereabouts = self._among(answer.parents, check)
        if whereabouts is Location.BELOW:
            mirror.put((answer,))
        return whereabouts

    def _among(self, parents: Collection[str], check: Check) -> Location:
        """Return where something with these parents is; UNKNOWN without any."""
        found = {self._of_folder(parent, check) for parent in parents}
        if Location.BELOW in found:
            return Location.BELOW
        return Location.OUTSIDE if found == {Location.OUTSIDE} else Location.UNKNOWN

    def _ask(self, file_id: str, check: Check) -> DriveFile | FileUnavailableError:
        if file_id not in self._answers:
            try:
                self._answers[file_id] = self._api.file(file_id, check)
            except FileUnavailableError as error:
                self._answers[file_id] = error
        return self._answers[file_id]
