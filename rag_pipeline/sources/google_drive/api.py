"""Drive's API, version 3, as far as a pipeline uses it: typed questions and answers, each tried again as it should be.

Fields are asked for by name, pages with the most entries there may be, and shared drives always included.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import requests

from rag_pipeline.ingest.types import ProgressCallback
from rag_pipeline.sources.google_drive.download import ExpectedContent, download_to
from rag_pipeline.sources.google_drive.errors import (
    DownloadError,
    DriveUnavailableError,
    FileUnavailableError,
)
from rag_pipeline.sources.google_drive.records import (
    FILE_FIELDS,
    ChangesPage,
    DriveFile,
    FilesPage,
    read_changes_page,
    read_file,
    read_files_page,
    read_start_page_token,
)
from rag_pipeline.sources.google_drive.transport.client import ApiRequest, HttpClient
from rag_pipeline.sources.google_drive.transport.hosts import API_URL
from rag_pipeline.sources.google_drive.transport.retry import RetryPolicy, TryAgain

PAGE_SIZE = 1000
MAX_QUERY_CHARACTERS = 6000
"""Servers take addresses of 8,000; a hundred folders stay below this."""
_EXPORT_ATTEMPTS = 3
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError)

_T = TypeVar("_T")
Check = Callable[[], None]


def _go_on() -> None:
    """What is called when there is no reason to leave but a stop."""


class DriveApi:
    """Asks Drive over a session that holds the credentials; safe to use from several threads.

    All methods raise :class:`~rag_pipeline.sources.google_drive.errors.DriveUnavailableError` once the tries of
    ``policy`` are used up, CredentialsError, and Stopped as soon as ``stop`` is set. Where there is a ``check``, it is
    called several times a second as long as an answer, or the next attempt, is waited for; what it raises ends that.
    """

    def __init__(
        self,
        session: requests.Session,
        *,
        base_url: str = API_URL,
        policy: RetryPolicy | None = None,
        stop: threading.Event,
    ) -> None:
        self._exchange = HttpClient(session, base_url=base_url, policy=policy or RetryPolicy(), stop=stop)
        self._root = base_url.rstrip("/") + "/drive/v3/"

    def start_page_token(self, drive_id: str | None, check: Check = _go_on) -> str:
        """Return the token from which changes from now on can be asked for; of a shared drive, or of My Drive."""
        params = {"supportsAllDrives": "true", "fields": "startPageToken"}
        question = self._question("changes/startPageToken", "the state of Google Drive", params, drive_id=drive_id)
        return self._ask(question, read_start_page_token, check)

    def changes(self, token: str, drive_id: str | None, check: Check = _go_on) -> ChangesPage:
        """Return a page of changes; raises PageTokenGoneError, and FileUnavailableError if the drive is gone."""
        params = {
            "pageToken": token,
            "pageSize": str(PAGE_SIZE),
            "supportsAllDrives": "true",
            "includeItemsFromAllDrives": "true",
            "fields": f"nextPageToken,newStartPageToken,changes(changeType,fileId,driveId,removed,file({FILE_FIELDS}))",
        }
        question = self._question("changes", "the changes in Google Drive", params, drive_id=drive_id)
        return self._ask(question, read_changes_page, check)

    def children(
        self, folder_ids: Sequence[str], page_token: str | None, drive_id: str | None, check: Check = _go_on
    ) -> FilesPage:
        """Return a page of what is in any of the folders, also of what is in the trash.

        Raises ValueError for more folders than one address takes, PageTokenGoneError, and FileUnavailableError if one
        of the folders is not there.
        """
        parents = " or ".join(f"'{_escaped(folder_id)}' in parents" for folder_id in folder_ids)
        if not folder_ids or len(parents) > MAX_QUERY_CHARACTERS:
            raise ValueError(f"{len(folder_ids)} folders in one question")
        params = {
            "q": parents,
            "pageSize": str(PAGE_SIZE),
            "supportsAllDrives": "true",
            "includeItemsFromAllDrives": "true",
            "fields": f"nextPageToken,incompleteSearch,files({FILE_FIELDS})",
        }
        if page_token is not None:
            params["pageToken"] = page_token
        if drive_id is not None:
            params["corpora"] = "drive"
        question = self._question("files", "the files in Google Drive", params, drive_id=drive_id)
        return self._ask(question._replace(is_file=True), read_files_page, check)

    def file(self, file_id: str, check: Check = _go_on) -> DriveFile:
        """Return what Drive says of a file or folder; ``root`` is that of My Drive. Raises FileUnavailableError."""
        return self._about(file_id, FILE_FIELDS, read_file, check)

    def drive(self, drive_id: str, check: Check = _go_on) -> str:
        """Return the name of a shared drive; raises FileUnavailableError."""
        question = self._question(f"drives/{quote(drive_id, safe='')}", "a shared drive", {"fields": "name"})
        return self._ask(question._replace(is_file=True), lambda data: str(data["name"]), check)

    def download(self, file: DriveFile, target: Path, on_progress: ProgressCallback, check: Check) -> None:
        """Write the content of a file to ``target``, which must not be there, in pieces of bounded size.

        A transfer that breaks off goes on from there; the MD5 is compared. Raises FileUnavailableError, and
        :class:`~rag_pipeline.sources.google_drive.errors.DownloadError` for what may succeed later.
        """

        def has_changed() -> bool:
            now = self.file(file.id, check)
            return (now.md5, now.size) != (file.md5, file.size)

        question = self._question(
            f"files/{quote(file.id, safe='')}", file.name, {"alt": "media", "supportsAllDrives": "true"}
        )
        try:
            download_to(
                target,
                self._exchange,
                question._replace(is_file=True),
                ExpectedContent(size=file.size, md5=file.md5),
                on_progress=on_progress,
                check=check,
                has_changed=has_changed,
            )
        except DriveUnavailableError as error:
            raise _of_this_file(error) from None

    def export(
        self,
        file: DriveFile,
        mime_type: str,
        target: Path,
        on_progress: ProgressCallback,
        check: Check,
        *,
        limit_bytes: int | None = None,
    ) -> None:
        """Write a Google Doc, Sheet or Slides to ``target`` in another format; raises what :meth:`download` does.

        What is over Drive's limit for exports, 10 MB, is fetched by the file's export link. FileUnavailableError with
        the code ``noExport`` says that Drive does not export it as ``mime_type``.
        """
        expected = ExpectedContent(mime_type=mime_type, limit_bytes=limit_bytes)
        question = self._question(f"files/{quote(file.id, safe='')}/export", file.name, {"mimeType": mime_type})

        def fetch(question: ApiRequest, policy: RetryPolicy | None) -> None:
            download_to(
                target,
                self._exchange,
                question._replace(is_file=True),
                expected,
                on_progress=on_progress,
                check=check,
                policy=policy,
            )

        try:
            fetch(question, replace(self._exchange.policy, server_attempts=_EXPORT_ATTEMPTS))
            return
        except FileUnavailableError as error:
            if error.code != "exportSizeLimitExceeded":
                raise
        except DriveUnavailableError as error:
            if not error.server_failed:
                raise
            # Drive has answered exports over the limit with a 500 too.
        try:
            fetch(ApiRequest(self._export_link(file, mime_type, check), file.name), None)
        except DriveUnavailableError as error:
            raise _of_this_file(error) from None

    def _export_link(self, file: DriveFile, mime_type: str, check: Check) -> str:
        # Only the few that need them are asked for their links, which are longer than all else that is told of a file.
        links = file.export_links or self._about(
            file.id, "exportLinks", lambda data: data.get("exportLinks") or {}, check
        )
        link = links.get(mime_type)
        if not isinstance(link, str):
            raise FileUnavailableError(f"has no link to export it as {mime_type}", gone=False, code="noExport")
        return link

    def _about(self, file_id: str, fields: str, read: Callable[[Mapping[str, Any]], _T], check: Check) -> _T:
        params = {"fields": fields, "supportsAllDrives": "true"}
        question = self._question(f"files/{quote(file_id, safe='')}", "a file in Google Drive", params)
        return self._ask(question._replace(is_file=True), read, check)

    def _question(self, path: str, what: str, params: dict[str, str], *, drive_id: str | None = None) -> ApiRequest:
        if drive_id is not None:
            params["driveId"] = drive_id
        return ApiRequest(
            self._root + path, what, params, is_file=drive_id is not None, has_page_token="pageToken" in params
        )

    def _ask(self, question: ApiRequest, read: Callable[[Mapping[str, Any]], _T], check: Check) -> _T:
        def attempt() -> _T:
            body = self._exchange.body(question, check)
            try:
                return read(json.loads(body))
            except _UNREADABLE:
                raise TryAgain("answered with something that can't be read", server_failed=True) from None

        return self._exchange.retries(question.what, check).run(attempt)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


def _of_this_file(error: DriveUnavailableError) -> Exception:
    """Return the error for a content that Drive failed to give: where Drive is there, that is the file's alone."""
    return DownloadError(str(error)) if error.server_failed else error
