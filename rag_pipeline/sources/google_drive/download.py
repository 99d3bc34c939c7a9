"""Resumable downloads that are checked against the size and MD5 that Drive reports.

The received bytes and their MD5 are kept across attempts, so nothing is read twice, neither from Drive nor from disk.
A download that fails leaves no file behind.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import requests
from urllib3.exceptions import HTTPError

from rag_pipeline.common.private_files import open_private
from rag_pipeline.ingest.types import ProgressCallback
from rag_pipeline.sources.google_drive.errors import DownloadError, FileUnavailableError
from rag_pipeline.sources.google_drive.transport.client import ApiRequest, DriveHttpClient
from rag_pipeline.sources.google_drive.transport.response_reader import ResponseReader
from rag_pipeline.sources.google_drive.transport.retry import RetryLoop, RetryPolicy, TryAgain
from rag_pipeline.sources.google_drive.transport.session import describe_failure
from rag_pipeline.sources.source import Check

MAX_DAMAGED = 3
_PROGRESS_SECONDS = 0.1
_ACCEPTED = frozenset({200, 206, 416})
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True, slots=True)
class ExpectedContent:
    """Properties of a content before its download; None is unknown.

    mime_type: of an export. If HTML arrives instead, it is Google's login page.
    limit_bytes: a longer content is rejected.
    """

    size: int | None = None
    md5: str | None = None
    mime_type: str | None = None
    limit_bytes: int | None = None


def download_to(
    target: Path,
    client: DriveHttpClient,
    request: ApiRequest,
    expected: ExpectedContent,
    *,
    on_progress: ProgressCallback,
    check: Check,
    has_changed: Callable[[], bool] = lambda: False,
    policy: RetryPolicy | None = None,
) -> None:
    """Download to ``target``, which must not exist. Nothing is left behind on failure.

    ``on_progress`` gets the fraction done if the size is known. ``check`` is called for each piece, and several times a
    second while none arrives; it raises Stopped. ``has_changed`` is called when a content differs from ``expected``.

    Raises :class:`~rag_pipeline.sources.google_drive.errors.DownloadError` for damage and a full disk, and what
    :meth:`~rag_pipeline.sources.google_drive.transport.client.DriveHttpClient.get` raises.
    """
    _check_free_space(target, request.subject, expected)
    with _create(target, request.subject) as file:
        try:
            download = _ResumableDownload(file, client, request, expected, on_progress, check)
            download.run(client.retry_loop(request.subject, check, policy), has_changed)
        except BaseException:
            target.unlink(missing_ok=True)
            raise


class _ResumableDownload:
    """The received part of a content, and the requests for the rest."""

    def __init__(
        self,
        file: FileIO,
        client: DriveHttpClient,
        request: ApiRequest,
        expected: ExpectedContent,
        on_progress: ProgressCallback,
        check: Check,
    ) -> None:
        self._file = file
        self._client = client
        self._request = request
        self._expected = expected
        self._on_progress = on_progress
        self._check = check
        self._received = 0
        self._furthest = 0
        self._digest = hashlib.md5(usedforsecurity=False)
        self._etag: str | None = None
        self._progress_at = time.monotonic()

    def run(self, retry_loop: RetryLoop, has_changed: Callable[[], bool]) -> None:
        """Download until the content is complete and undamaged."""
        self._on_progress(0.0)
        for _ in range(MAX_DAMAGED):
            retry_loop.run(lambda: self._attempt(retry_loop))
            damage = self._damage()
            if damage is None:
                return
            if has_changed():
                raise DownloadError(f"{self._request.subject}: changed during the download")
            self._restart()
            self._furthest = 0
            retry_loop.reset()
        raise DownloadError(f"{self._request.subject}: {damage}, {MAX_DAMAGED} times")

    def _attempt(self, retry_loop: RetryLoop) -> None:
        """Request the missing part; raises TryAgain, and keeps what has arrived."""
        size = self._expected.size
        if self._received and self._expected.md5 is None and self._etag is None:
            self._restart()  # without MD5 and ETag, the rest of another version would not be noticed
        if self._received and self._received == size:
            return  # the connection broke after the last byte
        with self._client.get(self._request, self._check, headers=self._headers(), accepted=_ACCEPTED) as reader:
            answer = reader.response
            self._check_type(answer)
            self._check_length_is_known(answer)
            if self._received and not self._continues(answer):
                self._restart()
            if answer.status_code == 416:
                raise TryAgain("the content is shorter than before")
            self._etag = _strong_etag(answer.headers)
            try:
                self._receive(reader, retry_loop)
            except HTTPError as error:
                raise TryAgain(f"broke off after {self._received:,} bytes: {describe_failure(error)}") from None
        if size is not None and self._received < size:
            raise TryAgain(f"ended after {self._received:,} of {size:,} bytes")

    def _receive(self, reader: ResponseReader, retry_loop: RetryLoop) -> None:
        """Write the pieces until the end, or until there are more bytes than expected."""
        size = self._expected.size
        for piece in reader.pieces():
            self._check()
            self._add(piece, reader.response)
            if size is not None and self._received > size:
                return
            if self._received > self._furthest:
                self._furthest = self._received
                retry_loop.reset()

    def _headers(self) -> Mapping[str, str]:
        # With compression, a range would count compressed bytes.
        headers = {"Accept-Encoding": "identity"}
        if self._received:
            headers["Range"] = f"bytes={self._received}-"
            if self._etag is not None:
                headers["If-Range"] = self._etag
        return headers

    def _continues(self, answer: requests.Response) -> bool:
        """Return whether the answer begins where the last one broke off."""
        match = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        return answer.status_code == 206 and match is not None and int(match[1]) == self._received

    def _check_type(self, answer: requests.Response) -> None:
        expected = self._expected.mime_type
        actual = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if expected is not None and actual == "text/html" != expected:
            raise DownloadError(f"{self._request.subject}: got a web page instead of the export")

    def _check_length_is_known(self, answer: requests.Response) -> None:
        """Raise if the end can't be told from a broken connection, as in an answer cut off amid its headers."""
        framed = "Content-Length" in answer.headers or "Transfer-Encoding" in answer.headers
        if self._expected.size is None and self._expected.md5 is None and not framed:
            raise TryAgain("an answer without a length")

    def _add(self, piece: bytes, answer: requests.Response) -> None:
        limit = self._expected.limit_bytes
        if limit is not None and self._received + len(piece) > limit:
            raise FileUnavailableError(f"is over the limit of {limit:,} bytes", gone=False, code="tooLarge")
        self._write(piece)
        self._digest.update(piece)
        self._received += len(piece)
        now = time.monotonic()
        if now - self._progress_at >= _PROGRESS_SECONDS:
            self._progress_at = now
            size = self._expected.size or int(answer.headers.get("Content-Length") or 0)
            if size:
                self._on_progress(min(1.0, self._received / size))

    def _write(self, piece: bytes) -> None:
        remaining = memoryview(piece)
        try:
            while remaining:
                remaining = remaining[self._file.write(remaining) :]
        except OSError as error:
            raise _write_error(error, self._request.subject) from None

    def _damage(self) -> str | None:
        size, md5 = self._expected.size, self._expected.md5
        if size is not None and self._received > size:
            return f"got more than the expected {size:,} bytes"
        if md5 is not None and self._digest.hexdigest() != md5.lower():
            return "the MD5 differs from Drive's"
        return None

    def _restart(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._received = 0
        self._digest = hashlib.md5(usedforsecurity=False)
        self._etag = None


def _check_free_space(target: Path, subject: str, expected: ExpectedContent) -> None:
    """Raise before the download if the disk has too little space for the content."""
    free = shutil.disk_usage(target.parent).free
    if expected.size is not None and expected.size > free:
        raise DownloadError(
            f"{subject}: {expected.size:,} bytes do not fit into {target.parent}, which has {free:,} bytes free"
        )


def _create(target: Path, subject: str) -> FileIO:
    try:
        # Unbuffered, so that every write error is raised by a write.
        return FileIO(open_private(target, os.O_RDWR | os.O_EXCL), "r+")
    except OSError as error:
        raise _write_error(error, subject) from None


def _write_error(error: OSError, subject: str) -> DownloadError:
    if error.errno in _DISK_FULL:
        return DownloadError(f"{subject}: the disk is full")
    return DownloadError(f"{subject}: can't be written to disk: {error.strerror}")


def _strong_etag(headers: Mapping[str, str]) -> str | None:
    etag = headers.get("ETag", "")
    return etag if etag.startswith('"') else None
