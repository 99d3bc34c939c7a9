"""Listing: asks for what is in folders of which the mirror does not know it yet, level by level.

That is every folder in a full pass, and after it those that were moved in. A listing that was cut short goes on with
the folders that are left: what has changed in the others meanwhile, the changes tell.

Drive has answered a question about several folders with the entries of some of them, or of none, and has said that the
search was complete (rclone's issues 3114, 4289 and 9810). So an answer counts for the folders of which it has entries;
each of the others is asked about alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rag_pipeline.sources.google_drive.api import DriveApi
from rag_pipeline.sources.google_drive.errors import (
    DriveUnavailableError,
    FileUnavailableError,
    PageTokenGoneError,
)
from rag_pipeline.sources.google_drive.mirror import Mirror
from rag_pipeline.sources.google_drive.records import FilesPage

FOLDERS_AT_ONCE = 100
"""Folders in one query: what an address has room for."""
MAX_ATTEMPTS = 3
INCOMPLETE_RETRY_SECONDS = 60.0


class _IncompleteError(Exception):
    """Drive has not searched everywhere."""


class Listing:
    """Lists folders of one shared drive, or of My Drive; used by one thread."""

    def __init__(self, api: DriveApi, mirror: Mirror) -> None:
        self._api = api
        self._mirror = mirror

    def run(self, drive_id: str | None, check: Callable[[], None]) -> bool:
        """List folders until the mirror knows what is in each; returns whether there were any.

        Raises :class:`~rag_pipeline.sources.google_drive.errors.DriveUnavailableError`, also if Drive does not
        search everywhere, or refuses to list what it says is there, since what is not found then may be there all the
        same; and FileUnavailableError for the watched folder itself.
        """
        any_listed = False
        while folders := self._mirror.unlisted(FOLDERS_AT_ONCE):
            self._list(folders, drive_id, check)
            any_listed = True
        return any_listed

    def _list(self, folders: Sequence[str], drive_id: str | None, check: Callable[[], None]) -> None:
        """List folders, with one question if it can be; for those that spoil it, with a few more."""
        for _ in range(MAX_ATTEMPTS):
            try:
                seen = self._pages(folders, drive_id, check)
            except (PageTokenGoneError, _IncompleteError):
                continue
            except FileUnavailableError:
                if len(folders) > 1:
                    break
                if self._mirror.is_above(folders[0]):
                    raise
                if not self._is_there(folders[0], check):
                    return
                continue
            listed = [folder for folder in folders if folder in seen or len(folders) == 1]
            self._mirror.put((), listed=listed)
            self._list_each([[folder] for folder in folders if folder not in listed], drive_id, check)
            return
        if len(folders) == 1:
            raise DriveUnavailableError("Google Drive does not list all of a folder", INCOMPLETE_RETRY_SECONDS)
        half = len(folders) // 2
        self._list_each([folders[:half], folders[half:]], drive_id, check)

    def _is_there(self, folder: str, check: Callable[[], None]) -> bool:
        """Return whether a folder that could not be listed has to be; the mirror then knows what became of it.

        One refusal is not enough to take all that is in a folder for gone: Drive has to say it of the folder itself.
        """
        try:
            now = self._api.file(folder, check)
        except FileUnavailableError as error:
            if not error.gone:
                raise DriveUnavailableError(f"a folder {error.reason}", INCOMPLETE_RETRY_SECONDS) from None
            self._mirror.remove(folder)
            return False
        self._mirror.put((now,))
        return not now.explicitly_trashed

    def _list_each(self, parts: Sequence[Sequence[str]], drive_id: str | None, check: Callable[[], None]) -> None:
        for part in parts:
            self._list(part, drive_id, check)

    def _pages(self, folders: Sequence[str], drive_id: str | None, check: Callable[[], None]) -> set[str]:
        """Take in all that is in the folders; return the ids of the folders that something was seen in."""
        token: str | None = None
        seen: set[str] = set()
        while True:
            check()
            page: FilesPage = self._api.children(folders, token, drive_id, check)
            if page.incomplete:
                raise _IncompleteError
            self._mirror.put(page.files)
            seen.update(parent for file in page.files for parent in file.parents)
            token = page.next_page_token
            if token is None:
                return seen
