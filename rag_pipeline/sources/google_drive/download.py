"""Fetching contents to disk: in pieces, going on where a transfer broke off, and compared with what Drive says of it.

What has arrived so far and its MD5 are kept over all attempts, so nothing is read twice, neither from Drive nor from
the disk. A file that could not be fetched as a whole leaves nothing behind.
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
from rag_pipeline.sources.google_drive.transport.client import ApiRequest, HttpClient
from rag_pipeline.sources.google_drive.transport.response_reader import ResponseReader
from rag_pipeline.sources.google_drive.transport.retry import RetryLoop, RetryPolicy, TryAgain
from rag_pipeline.sources.google_drive.transport.session import describe_failure

MAX_DAMAGED = 3
_PROGRESS_SECONDS = 0.1
_ACCEPTED = frozenset({200, 206, 416})
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True, slots=True)
class ExpectedContent:
    """What is known of a content before it is fetched; None is unknown.

    mime_type: of an export; an HTML page in its place is Google asking for a login.
    limit_bytes: more than that is refused.
    """

    size: int | None = None
    md5: str | None = None
    mime_type: str | None = None
    limit_bytes: int | None = None


def download_to(
    target: Path,
    exchange: HttpClient,
    question: ApiRequest,
    expected: ExpectedContent,
    *,
    on_progress: ProgressCallback,
    check: Callable[[], None],
    has_changed: Callable[[], bool] = lambda: False,
    policy: RetryPolicy | None = None,
) -> None:
    """Write the content to ``target``, which must not be there; at any other end than success it is not there again.

    ``on_progress`` is told the fraction where the size is known; ``check`` is called for each piece, and several times
    a second while none comes, and raises Stopped. ``has_changed`` is asked once a content is another than was expected.
    Raises :class:`~rag_pipeline.sources.google_drive.errors.DownloadError` for damage and a full disk, and what
    :meth:`~rag_pipeline.sources.google_drive.transport.client.HttpClient.get` raises.
    """
    _check_room(target, question.what, expected)
    with _create(target, question.what) as file:
        try:
            transfer = _Transfer(file, exchange, question, expected, on_progress, check)
            transfer.run(exchange.retries(question.what, check, policy), has_changed)
        except BaseException:
            target.unlink(missing_ok=True)
            raise


class _Transfer:
    """What has arrived of a content, and how to have the rest."""

    def __init__(
        self,
        file: FileIO,
        exchange: HttpClient,
        question: ApiRequest,
        expected: ExpectedContent,
        on_progress: ProgressCallback,
        check: Callable[[], None],
    ) -> None:
        self._file = file
        self._exchange = exchange
        self._question = question
        self._expected = expected
        self._on_progress = on_progress
        self._check = check
        self._received = 0
        self._furthest = 0
        self._digest = hashlib.md5(usedforsecurity=False)
        self._etag: str | None = None
        self._told = time.monotonic()

    def run(self, retries: RetryLoop, has_changed: Callable[[], bool]) -> None:
        """Fetch until all is there and undamaged."""
        self._on_progress(0.0)
        for _ in range(MAX_DAMAGED):
            retries.run(lambda: self._attempt(retries))
            damage = self._damage()
            if damage is None:
                return
            if has_changed():
                raise DownloadError(f"{self._question.what}: it was changed while it was fetched")
            self._restart()
            self._furthest = 0
            retries.progressed()
        raise DownloadError(f"{self._question.what}: {damage}, {MAX_DAMAGED} times")

    def _attempt(self, retries: RetryLoop) -> None:
        """Fetch what is missing; raises TryAgain with what has arrived kept."""
        size = self._expected.size
        if self._received and self._expected.md5 is None and self._etag is None:
            self._restart()  # nothing would tell the rest of another version from the rest of this one
        if self._received and self._received == size:
            return  # it broke off after the last byte
        with self._exchange.get(self._question, self._check, headers=self._headers(), accepted=_ACCEPTED) as incoming:
            answer = incoming.response
            self._check_type(answer)
            self._check_end(answer)
            if self._received and not self._goes_on(answer):
                self._restart()
            if answer.status_code == 416:
                raise TryAgain("the content is shorter than it was")
            self._etag = _strong_etag(answer.headers)
            try:
                self._take(incoming, retries)
            except HTTPError as error:
                raise TryAgain(f"broke off after {self._received:,} bytes: {describe_failure(error)}") from None
        if size is not None and self._received < size:
            raise TryAgain(f"ended after {self._received:,} of {size:,} bytes")

    def _take(self, incoming: ResponseReader, retries: RetryLoop) -> None:
        """Write what comes, up to the end of it, or to where it is longer than it should be."""
        size = self._expected.size
        for piece in incoming.pieces():
            self._check()
            self._write(piece, incoming.response)
            if size is not None and self._received > size:
                return
            if self._received > self._furthest:
                self._furthest = self._received
                retries.progressed()

    def _headers(self) -> Mapping[str, str]:
        # Compressed on the way, a range would be one of the compressed bytes.
        headers = {"Accept-Encoding": "identity"}
        if self._received:
            headers["Range"] = f"bytes={self._received}-"
            if self._etag is not None:
                headers["If-Range"] = self._etag
        return headers

    def _goes_on(self, answer: requests.Response) -> bool:
        """Return whether the answer begins where the last one broke off."""
        found = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        return answer.status_code == 206 and found is not None and int(found[1]) == self._received

    def _check_type(self, answer: requests.Response) -> None:
        wanted = self._expected.mime_type
        found = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if wanted is not None and found == "text/html" != wanted:
            raise DownloadError(f"{self._question.what}: a web page came in place of the export")

    def _check_end(self, answer: requests.Response) -> None:
        """Raise if nothing would tell the content's end from a break, as in an answer cut off amid its headers."""
        framed = "Content-Length" in answer.headers or "Transfer-Encoding" in answer.headers
        if self._expected.size is None and self._expected.md5 is None and not framed:
            raise TryAgain("an answer that does not say where it ends")

    def _write(self, piece: bytes, answer: requests.Response) -> None:
        limit = self._expected.limit_bytes
        if limit is not None and self._received + len(piece) > limit:
            raise FileUnavailableError(f"is over the limit of {limit:,} bytes", gone=False, code="tooLarge")
        self._put(piece)
        self._digest.update(piece)
        self._received += len(piece)
        now = time.monotonic()
        if now - self._told >= _PROGRESS_SECONDS:
            self._told = now
            size = self._expected.size or int(answer.headers.get("Content-Length") or 0)
            if size:
                self._on_progress(min(1.0, self._received / size))

    def _put(self, piece: bytes) -> None:
        left = memoryview(piece)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            raise _no_room(error, self._question.what) from None

    def _damage(self) -> str | None:
        size, md5 = self._expected.size, self._expected.md5
        if size is not None and self._received > size:
            return f"more than the {size:,} bytes that there should be came"
        if md5 is not None and self._digest.hexdigest() != md5.lower():
            return "what came has another MD5 than Drive says"
        return None

    def _restart(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._received = 0
        self._digest = hashlib.md5(usedforsecurity=False)
        self._etag = None


def _check_room(target: Path, what: str, expected: ExpectedContent) -> None:
    """Raise if the content can't have room: better than to fetch gigabytes for nothing."""
    free = shutil.disk_usage(target.parent).free
    if expected.size is not None and expected.size > free:
        raise DownloadError(f"{what}: {expected.size:,} bytes have no room in {target.parent}, where {free:,} are free")


def _create(target: Path, what: str) -> FileIO:
    try:
        # Unbuffered, so that all that can fail fails in a write.
        return FileIO(open_private(target, os.O_RDWR | os.O_EXCL), "r+")
    except OSError as error:
        raise _no_room(error, what) from None


def _no_room(error: OSError, what: str) -> DownloadError:
    if error.errno in _NO_ROOM:
        return DownloadError(f"{what}: the disk is full")
    return DownloadError(f"{what}: can't be written down: {error.strerror}")


def _strong_etag(headers: Mapping[str, str]) -> str | None:
    etag = headers.get("ETag", "")
    return etag if etag.startswith('"') else None
