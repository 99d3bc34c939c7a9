"""Decides whether a file that is missing from the mirror is really gone.

A listing may leave out an existing file, and a folder that is no longer visible says nothing about the files in it. So
a file is gone only if Drive says so of the file itself (deleted or trashed), or if it lies in visible folders outside
the watched one. Otherwise its text is kept, and Drive is asked again later.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from enum import Enum, auto

from rag_pipeline.sources.google_drive.api import DriveApi
from rag_pipeline.sources.google_drive.errors import FileUnavailableError
from rag_pipeline.sources.google_drive.mirror import LastSeen, Mirror
from rag_pipeline.sources.google_drive.records import DriveFile
from rag_pipeline.sources.source import Check

RECHECK_SECONDS = 600.0
"""Seconds between two checks of an undecided file in Drive."""


class Location(Enum):
    """Where a file or folder is, according to Drive."""

    INSIDE = auto()
    """Below the watched folder."""
    OUTSIDE = auto()
    """Deleted, in the trash, or in folders that are not below the watched one."""
    UNKNOWN = auto()
    """In folders that are not visible."""


class DeletionCheck:
    """Asks Drive about single files; used by one thread. Its methods raise what :meth:`DriveApi.file` raises."""

    def __init__(self, api: DriveApi, mirror: Mirror) -> None:
        self._api = api
        self._mirror = mirror
        self._gone: frozenset[str] = frozenset()
        self._undecided: dict[str, float] = {}
        self.begin()

    def begin(self) -> None:
        """Begin a scan: forget Drive's answers of the scan before."""
        self._answers: dict[str, DriveFile | FileUnavailableError] = {}
        self._folder_locations: dict[str, Location] = {}

    def is_gone(self, file_id: str) -> bool:
        """Return whether the last :meth:`confirm` found that a file is gone."""
        return file_id in self._gone

    def recheck(self, check: Check) -> bool:
        """Ask Drive about what a full pass should have listed but did not; return whether any of it exists.

        Folders come first: an existing folder has to be listed, and then shows the files in it.
        """
        for file_ids in (self._mirror.unseen(folders=True), self._mirror.unseen(folders=False)):
            any_exists = False
            for file_id in file_ids:
                check()
                answer = self._ask(file_id, check)
                if isinstance(answer, DriveFile):
                    self._mirror.put((answer,))
                    any_exists = True
                elif answer.gone:
                    self._mirror.remove(file_id)
            if any_exists:
                return True
        return False

    def confirm(self, file_ids: Iterable[str], check: Check) -> None:
        """Find out which of the missing files are gone; put the existing ones into the mirror."""
        file_ids = set(file_ids)
        now = time.monotonic()
        since = now - RECHECK_SECONDS
        self._undecided = {key: at for key, at in self._undecided.items() if key in file_ids and at > since}
        gone = set()
        for file_id in sorted(file_ids - self._undecided.keys()):
            check()
            location = self._locate_file(file_id, check)
            if location is Location.OUTSIDE:
                gone.add(file_id)
            elif location is Location.UNKNOWN:
                self._undecided[file_id] = now
        self._gone = frozenset(gone)

    @property
    def undecided(self) -> frozenset[str]:
        """The invisible files that Drive does not call gone."""
        return frozenset(self._undecided)

    def _locate_file(self, file_id: str, check: Check) -> Location:
        mirror = self._mirror
        if mirror.is_removed(file_id):
            return Location.OUTSIDE
        last_seen = mirror.last_seen(file_id)
        # The last known parents are enough if all of them are outside.
        if last_seen is not None and self._was_outside(last_seen, check):
            return Location.OUTSIDE
        answer = self._ask(file_id, check)
        if isinstance(answer, FileUnavailableError):
            return Location.OUTSIDE if answer.gone else Location.UNKNOWN
        if answer.trashed:
            return Location.OUTSIDE
        if not answer.parents:
            # A file that only a shortcut led to never was in a folder. Any other's folder has become invisible.
            by_shortcut = last_seen is not None and not last_seen.parents and not mirror.was_inside(file_id)
            return Location.OUTSIDE if by_shortcut else Location.UNKNOWN
        return self._locate_visible(answer, check)

    def _locate_folder(self, folder_id: str, check: Check) -> Location:
        location = self._folder_locations.get(folder_id)
        if location is None:
            self._folder_locations[folder_id] = Location.UNKNOWN  # ends a loop of parents
            location = self._folder_locations[folder_id] = self._find_folder(folder_id, check)
        return location

    def _find_folder(self, folder_id: str, check: Check) -> Location:
        mirror = self._mirror
        if mirror.is_inside(folder_id):
            return Location.INSIDE
        if mirror.is_ancestor(folder_id):
            return Location.OUTSIDE
        last_seen = mirror.last_seen(folder_id)
        if last_seen is not None and self._was_outside(last_seen, check):
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
            # A root: of a drive, or of a shared folder. If it was inside before, its parent has become invisible.
            return Location.UNKNOWN if mirror.was_inside(folder_id) else Location.OUTSIDE
        return self._locate_visible(answer, check)

    def _locate_visible(self, file: DriveFile, check: Check) -> Location:
        """Locate a file by its parents; put it into the mirror if it is inside."""
        location = self._locate_by_parents(file.parents, check)
        if location is Location.INSIDE:
            self._mirror.put((file,))
        return location

    def _was_outside(self, last_seen: LastSeen, check: Check) -> bool:
        return last_seen.trashed or self._locate_by_parents(last_seen.parents, check) is Location.OUTSIDE

    def _locate_by_parents(self, parents: Collection[str], check: Check) -> Location:
        """Return the location of something with these parents; UNKNOWN without any."""
        locations = {self._locate_folder(parent, check) for parent in parents}
        if Location.INSIDE in locations:
            return Location.INSIDE
        return Location.OUTSIDE if locations == {Location.OUTSIDE} else Location.UNKNOWN

    def _ask(self, file_id: str, check: Check) -> DriveFile | FileUnavailableError:
        if file_id not in self._answers:
            try:
                self._answers[file_id] = self._api.file(file_id, check)
            except FileUnavailableError as error:
                self._answers[file_id] = error
        return self._answers[file_id]
