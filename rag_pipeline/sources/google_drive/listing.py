"""Lists the folders whose content the mirror does not know yet, level by level.

In a full pass that is every folder; after it, each folder that was moved in. An interrupted listing continues with the
remaining folders: later changes in the others are in Drive's log of changes.

A query for several folders sometimes returns the entries of only some of them, or of none, while Drive calls the search
complete (rclone issues 3114, 4289 and 9810). So an answer counts only for folders of which it has entries; each of the
others is queried alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from rag_pipeline.sources.google_drive.api import DriveApi
from rag_pipeline.sources.google_drive.errors import (
    DriveUnavailableError,
    FileUnavailableError,
    PageTokenGoneError,
)
from rag_pipeline.sources.google_drive.mirror import Mirror
from rag_pipeline.sources.google_drive.records import FilesPage
from rag_pipeline.sources.source import Check

FOLDERS_AT_ONCE = 100
"""Folders in one query; more do not fit into a URL."""
MAX_ATTEMPTS = 3
INCOMPLETE_RETRY_SECONDS = 60.0


class _IncompleteError(Exception):
    """Drive did not search everywhere."""


class Listing:
    """Lists folders of one shared drive, or of My Drive; used by one thread."""

    def __init__(self, api: DriveApi, mirror: Mirror) -> None:
        self._api = api
        self._mirror = mirror

    def run(self, drive_id: str | None, check: Check) -> bool:
        """List folders until the mirror knows the content of each; return whether there were any.

        Raises :class:`~rag_pipeline.sources.google_drive.errors.DriveUnavailableError`, also if Drive does not search
        everywhere or refuses to list an existing folder, because missing files may then still exist. Raises
        FileUnavailableError for the watched folder itself.
        """
        any_listed = False
        while folders := self._mirror.unlisted(FOLDERS_AT_ONCE):
            self._list(folders, drive_id, check)
            any_listed = True
        return any_listed

    def _list(self, folders: Sequence[str], drive_id: str | None, check: Check) -> None:
        """List folders with one query, and the folders that make it fail with more queries."""
        for _ in range(MAX_ATTEMPTS):
            try:
                with_entries = self._list_pages(folders, drive_id, check)
            except (PageTokenGoneError, _IncompleteError):
                continue
            except FileUnavailableError:
                if len(folders) > 1:
                    break
                if self._mirror.is_ancestor(folders[0]):
                    raise
                if not self._exists(folders[0], check):
                    return
                continue
            listed = [folder for folder in folders if folder in with_entries or len(folders) == 1]
            self._mirror.put((), listed=listed)
            self._list_each([[folder] for folder in folders if folder not in listed], drive_id, check)
            return
        if len(folders) == 1:
            raise DriveUnavailableError("Google Drive does not list all of a folder", INCOMPLETE_RETRY_SECONDS)
        half = len(folders) // 2
        self._list_each([folders[:half], folders[half:]], drive_id, check)

    def _exists(self, folder: str, check: Check) -> bool:
        """Return whether a folder that could not be listed exists, and update the mirror.

        One refusal is not enough to delete everything in the folder: Drive must say that the folder itself is gone.
        """
        try:
            file = self._api.file(folder, check)
        except FileUnavailableError as error:
            if not error.gone:
                raise DriveUnavailableError(f"a folder {error.reason}", INCOMPLETE_RETRY_SECONDS) from None
            self._mirror.remove(folder)
            return False
        self._mirror.put((file,))
        return not file.explicitly_trashed

    def _list_each(self, groups: Sequence[Sequence[str]], drive_id: str | None, check: Check) -> None:
        for group in groups:
            self._list(group, drive_id, check)

    def _list_pages(self, folders: Sequence[str], drive_id: str | None, check: Check) -> set[str]:
        """Put all entries of the folders into the mirror; return the ids of the folders that had entries."""
        token: str | None = None
        with_entries: set[str] = set()
        while True:
            check()
            page: FilesPage = self._api.children(folders, token, drive_id, check)
            if page.incomplete:
                raise _IncompleteError
            self._mirror.put(page.files)
            with_entries.update(parent for file in page.files for parent in file.parents)
            token = page.next_page_token
            if token is None:
                return with_entries
