"""Client for the parts of the Drive API (version 3) that a pipeline uses, with typed results and retries.

Requests name the fields they need, use the largest page size, and always include shared drives.
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
from rag_pipeline.sources.google_drive.errors import DownloadError, DriveUnavailableError, FileUnavailableError
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
from rag_pipeline.sources.google_drive.transport.client import ApiRequest, DriveHttpClient
from rag_pipeline.sources.google_drive.transport.hosts import API_URL
from rag_pipeline.sources.google_drive.transport.retry import RetryPolicy, TryAgain
from rag_pipeline.sources.source import Check

PAGE_SIZE = 1000
MAX_QUERY_CHARACTERS = 6000
"""Servers accept URLs of 8,000 characters; a hundred folders stay below this limit."""
_EXPORT_ATTEMPTS = 3
_MALFORMED = (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError)

_T = TypeVar("_T")


def _no_check() -> None:
    """Never end the wait."""


class DriveApi:
    """Sends requests to Drive over an authenticated session; safe under threads.

    All methods raise :class:`~rag_pipeline.sources.google_drive.errors.DriveUnavailableError` after the last attempt of
    ``policy``, CredentialsError, and Stopped as soon as ``stop`` is set. ``check`` is called several times a second
    while a method waits for an answer or for the next attempt; what it raises ends the wait.
    """

    def __init__(
        self,
        session: requests.Session,
        *,
        base_url: str = API_URL,
        policy: RetryPolicy | None = None,
        stop: threading.Event,
    ) -> None:
        self._client = DriveHttpClient(session, base_url=base_url, policy=policy or RetryPolicy(), stop=stop)
        self._root = base_url.rstrip("/") + "/drive/v3/"

    def start_page_token(self, drive_id: str | None, check: Check = _no_check) -> str:
        """Return the token for changes from now on, of a shared drive or of My Drive."""
        params = {"supportsAllDrives": "true", "fields": "startPageToken"}
        request = self._request("changes/startPageToken", "the state of Google Drive", params, drive_id=drive_id)
        return self._get_json(request, read_start_page_token, check)

    def changes(self, token: str, drive_id: str | None, check: Check = _no_check) -> ChangesPage:
        """Return a page of changes; raises PageTokenGoneError, or FileUnavailableError if the drive is gone."""
        params = {
            "pageToken": token,
            "pageSize": str(PAGE_SIZE),
            "supportsAllDrives": "true",
            "includeItemsFromAllDrives": "true",
            "fields": f"nextPageToken,newStartPageToken,changes(changeType,fileId,driveId,removed,file({FILE_FIELDS}))",
        }
        request = self._request("changes", "the changes in Google Drive", params, drive_id=drive_id)
        return self._get_json(request, read_changes_page, check)

    def children(
        self, folder_ids: Sequence[str], page_token: str | None, drive_id: str | None, check: Check = _no_check
    ) -> FilesPage:
        """Return a page of the files and folders in any of the folders, trashed ones included.

        Raises ValueError for more folders than fit into one URL, PageTokenGoneError, and FileUnavailableError if one of
        the folders does not exist.
        """
        parents = " or ".join(f"'{_escape(folder_id)}' in parents" for folder_id in folder_ids)
        if not folder_ids or len(parents) > MAX_QUERY_CHARACTERS:
            raise ValueError(f"{len(folder_ids)} folders in one query")
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
        request = self._request("files", "the files in Google Drive", params, drive_id=drive_id)
        return self._get_json(request._replace(is_file=True), read_files_page, check)

    def file(self, file_id: str, check: Check = _no_check) -> DriveFile:
        """Return a file or folder; ``root`` is the root of My Drive. Raises FileUnavailableError."""
        return self._get_file(file_id, FILE_FIELDS, read_file, check)

    def drive(self, drive_id: str, check: Check = _no_check) -> str:
        """Return the name of a shared drive; raises FileUnavailableError."""
        request = self._request(f"drives/{quote(drive_id, safe='')}", "a shared drive", {"fields": "name"})
        return self._get_json(request._replace(is_file=True), lambda data: str(data["name"]), check)

    def download(self, file: DriveFile, target: Path, on_progress: ProgressCallback, check: Check) -> None:
        """Download a file's content to ``target``, which must not exist, and compare its MD5.

        A broken transfer is resumed. Raises FileUnavailableError, and
        :class:`~rag_pipeline.sources.google_drive.errors.DownloadError` if a later attempt may succeed.
        """

        def has_changed() -> bool:
            now = self.file(file.id, check)
            return (now.md5, now.size) != (file.md5, file.size)

        request = self._request(
            f"files/{quote(file.id, safe='')}", file.name, {"alt": "media", "supportsAllDrives": "true"}
        )
        try:
            download_to(
                target,
                self._client,
                request._replace(is_file=True),
                ExpectedContent(size=file.size, md5=file.md5),
                on_progress=on_progress,
                check=check,
                has_changed=has_changed,
            )
        except DriveUnavailableError as error:
            raise _as_download_error(error) from None

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
        """Export a Google Doc, Sheet or Slides file to ``target``; raises as :meth:`download` does.

        Exports over Drive's limit of 10 MB are downloaded from the file's export link. A FileUnavailableError with the
        code ``noExport`` means that Drive does not export the file as ``mime_type``.
        """
        expected = ExpectedContent(mime_type=mime_type, limit_bytes=limit_bytes)
        request = self._request(f"files/{quote(file.id, safe='')}/export", file.name, {"mimeType": mime_type})

        def fetch(request: ApiRequest, policy: RetryPolicy | None) -> None:
            download_to(
                target,
                self._client,
                request._replace(is_file=True),
                expected,
                on_progress=on_progress,
                check=check,
                policy=policy,
            )

        try:
            fetch(request, replace(self._client.policy, server_attempts=_EXPORT_ATTEMPTS))
            return
        except FileUnavailableError as error:
            if error.code != "exportSizeLimitExceeded":
                raise
        except DriveUnavailableError as error:
            # Drive sometimes answers an export over the limit with a 500.
            if not error.server_failed:
                raise
        try:
            fetch(ApiRequest(self._export_link(file, mime_type, check), file.name), None)
        except DriveUnavailableError as error:
            raise _as_download_error(error) from None

    def _export_link(self, file: DriveFile, mime_type: str, check: Check) -> str:
        # Requested only when needed: the links are longer than all other fields of a file together.
        links = file.export_links or self._get_file(
            file.id, "exportLinks", lambda data: data.get("exportLinks") or {}, check
        )
        link = links.get(mime_type)
        if not isinstance(link, str):
            raise FileUnavailableError(f"has no link to export it as {mime_type}", gone=False, code="noExport")
        return link

    def _get_file(self, file_id: str, fields: str, read: Callable[[Mapping[str, Any]], _T], check: Check) -> _T:
        params = {"fields": fields, "supportsAllDrives": "true"}
        request = self._request(f"files/{quote(file_id, safe='')}", "a file in Google Drive", params)
        return self._get_json(request._replace(is_file=True), read, check)

    def _request(self, path: str, subject: str, params: dict[str, str], *, drive_id: str | None = None) -> ApiRequest:
        if drive_id is not None:
            params["driveId"] = drive_id
        return ApiRequest(
            self._root + path, subject, params, is_file=drive_id is not None, has_page_token="pageToken" in params
        )

    def _get_json(self, request: ApiRequest, read: Callable[[Mapping[str, Any]], _T], check: Check) -> _T:
        def attempt() -> _T:
            body = self._client.body(request, check)
            try:
                return read(json.loads(body))
            except _MALFORMED:
                raise TryAgain("answered with unreadable content", server_failed=True) from None

        return self._client.retry_loop(request.subject, check).run(attempt)


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


def _as_download_error(error: DriveUnavailableError) -> Exception:
    """Return a DownloadError if Drive was reached: the failure then concerns this file alone."""
    return DownloadError(str(error)) if error.server_failed else error
