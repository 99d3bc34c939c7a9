"""HTTP client for Drive: bounded answers, checked redirects, and typed errors."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urljoin

import requests
from urllib3.exceptions import HTTPError

from rag_pipeline.sources.google_drive.errors import DownloadError
from rag_pipeline.sources.google_drive.transport.error_response import parse_error_response, to_exception
from rag_pipeline.sources.google_drive.transport.hosts import may_receive_token, may_redirect_to, parse_origin
from rag_pipeline.sources.google_drive.transport.response_reader import Deadline, ResponseReader
from rag_pipeline.sources.google_drive.transport.retry import RateGate, RetryLoop, RetryPolicy, TryAgain
from rag_pipeline.sources.google_drive.transport.session import PlainSession, TokenUnavailableError, describe_failure
from rag_pipeline.sources.source import Check

MAX_REDIRECTS = 5
MAX_ANSWER_BYTES = 1 << 26
"""Limit of a JSON answer; a page of a thousand entries takes some megabytes."""
_MAX_ERROR_BYTES = 1 << 16
_OK = frozenset({200})


class ApiRequest(NamedTuple):
    """A GET request.

    subject: what is requested, such as a file's name; error messages begin with it.
    is_file: the request is about one file, so an error answer may be about that file.
    has_page_token: an error answer may be about the page token.
    """

    url: str
    subject: str
    params: Mapping[str, str] | None = None
    is_file: bool = False
    has_page_token: bool = False


class DriveHttpClient:
    """Sends requests over a session. Safe under threads, which slow down together at a rate limit."""

    def __init__(self, session: requests.Session, *, base_url: str, policy: RetryPolicy, stop: threading.Event) -> None:
        self.policy = policy
        self._session = session
        self._base_url = base_url
        self._stop = stop
        self._rate_gate = RateGate(stop)
        self._plain_session = PlainSession()

    def retry_loop(self, subject: str, check: Check, policy: RetryPolicy | None = None) -> RetryLoop:
        """Return the retry loop for one request."""
        return RetryLoop(policy or self.policy, self._rate_gate, subject, check)

    def body(self, request: ApiRequest, check: Check) -> bytes:
        """Send the request once and return the whole body; raises as :meth:`get` does."""
        with self.get(request, check) as reader:
            try:
                body = reader.read(MAX_ANSWER_BYTES)
            except HTTPError as error:
                raise TryAgain(describe_failure(error)) from None
        if body is None:
            raise TryAgain(f"answered with more than {MAX_ANSWER_BYTES >> 20} MB", server_failed=True)
        return body

    def get(
        self,
        request: ApiRequest,
        check: Check,
        *,
        headers: Mapping[str, str] | None = None,
        accepted: frozenset[int] | None = None,
    ) -> ResponseReader:
        """Send the request once and return the answer, which the caller closes.

        ``accepted`` are the statuses of a file's content. Without it, the status must be 200, and the whole answer must
        arrive within the policy's time. ``check`` is called several times a second while nothing arrives.

        Raises Stopped, what ``check`` raises, TryAgain for a failure that may pass, and a
        :class:`~rag_pipeline.sources.google_drive.errors.DriveError` for any other.
        """
        deadline = Deadline(self._stop, check, self.policy.answer_seconds)
        reader = ResponseReader(lambda: self._send(request, headers), deadline)
        answer = reader.response
        if answer.status_code in (accepted or _OK):
            if accepted is not None:
                deadline.remove_limit()
            return reader
        with reader:
            try:
                body = reader.read(_MAX_ERROR_BYTES)
            except HTTPError:
                body = None
        raise to_exception(
            parse_error_response(answer.status_code, answer.headers, body or b""),
            request.subject,
            is_file=request.is_file,
            has_page_token=request.has_page_token,
            daily_seconds=self.policy.daily_seconds,
        )

    def _send(self, request: ApiRequest, headers: Mapping[str, str] | None) -> requests.Response:
        """Send the request and follow its redirects."""
        url, params = request.url, request.params
        session = self._session
        for _ in range(MAX_REDIRECTS + 1):
            try:
                answer = session.get(
                    url,
                    params=params,
                    headers=dict(headers or {}),
                    timeout=self.policy.timeout,
                    stream=True,
                    allow_redirects=False,
                )
            except TokenUnavailableError as error:
                # Without a token no thread can send anything, so a Retry-After holds for all of them.
                raise TryAgain(
                    str(error), retry_after=error.retry_after, slow_down=error.retry_after is not None
                ) from None
            except requests.RequestException as error:
                raise TryAgain(describe_failure(error)) from None
            if not answer.is_redirect:
                return answer
            answer.close()
            try:
                url, params = urljoin(answer.url, answer.headers["Location"]), None
            except ValueError:
                raise TryAgain("redirected to an invalid URL", server_failed=True) from None
            if not may_redirect_to(url, self._base_url):
                host = (parse_origin(url) or ("", "an invalid address", 0))[1]
                raise DownloadError(f"{request.subject}: redirected to {host}, which does not belong to Google Drive")
            # The URLs of Google's content servers carry their own authorization: they must not get the token.
            session = self._session if may_receive_token(url, self._base_url) else self._plain_session
        raise DownloadError(f"{request.subject}: redirected more than {MAX_REDIRECTS} times")
