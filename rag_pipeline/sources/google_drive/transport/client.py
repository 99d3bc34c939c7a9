"""One request to Drive and its answer: sent within bounds, redirected with care, and its failure given a name."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
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

MAX_REDIRECTS = 5
MAX_ANSWER_BYTES = 1 << 26
"""Of one answer that is no content; a page of a thousand entries is some megabytes."""
_MAX_ERROR_BYTES = 1 << 16
_OK = frozenset({200})


class ApiRequest(NamedTuple):
    """What is asked: ``what`` begins the sentence of an error.

    ``is_file``: it is about one file, and so is a refusal. ``has_page_token``: that may be what is refused.
    """

    url: str
    what: str
    params: Mapping[str, str] | None = None
    is_file: bool = False
    has_page_token: bool = False


class HttpClient:
    """Sends requests over a session; safe to use from several threads, which slow down together."""

    def __init__(self, session: requests.Session, *, base_url: str, policy: RetryPolicy, stop: threading.Event) -> None:
        self.policy = policy
        self._session = session
        self._base_url = base_url
        self._stop = stop
        self._pace = RateGate(stop)
        self._bare = PlainSession()

    def retries(self, what: str, check: Callable[[], None], policy: RetryPolicy | None = None) -> RetryLoop:
        """Return the attempts at one request."""
        return RetryLoop(policy or self.policy, self._pace, what, check)

    def body(self, question: ApiRequest, check: Callable[[], None]) -> bytes:
        """Return the whole answer to one attempt; raises as :meth:`get` does."""
        with self.get(question, check) as incoming:
            try:
                body = incoming.whole(MAX_ANSWER_BYTES)
            except HTTPError as error:
                raise TryAgain(describe_failure(error)) from None
        if body is None:
            raise TryAgain(f"answered with more than {MAX_ANSWER_BYTES >> 20} MB", server_failed=True)
        return body

    def get(
        self,
        question: ApiRequest,
        check: Callable[[], None],
        *,
        headers: Mapping[str, str] | None = None,
        accepted: frozenset[int] | None = None,
    ) -> ResponseReader:
        """Return the answer to one attempt, to be closed by the caller.

        ``accepted`` are the statuses of a content; without it an answer of 200 has to be whole within the policy's
        time. ``check`` is called several times a second while nothing comes, and raises Stopped. Raises that, TryAgain
        for what may pass, and a :class:`~rag_pipeline.sources.google_drive.errors.DriveError` for what will not.
        """
        patience = Deadline(self._stop, check, self.policy.answer_seconds)
        incoming = ResponseReader(lambda: self._send(question, headers), patience)
        answer = incoming.response
        if answer.status_code in (accepted or _OK):
            if accepted is not None:
                patience.without_end()
            return incoming
        with incoming:
            try:
                body = incoming.whole(_MAX_ERROR_BYTES)
            except HTTPError:
                body = None
        raise to_exception(
            parse_error_response(answer.status_code, answer.headers, body or b""),
            question.what,
            is_file=question.is_file,
            has_page_token=question.has_page_token,
            daily_seconds=self.policy.daily_seconds,
        )

    def _send(self, question: ApiRequest, headers: Mapping[str, str] | None) -> requests.Response:
        url, params = question.url, question.params
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
                # Nobody gets anywhere without a token: if there is a time to wait for, then for all.
                raise TryAgain(str(error), header=error.header, slow_down=error.header is not None) from None
            except requests.RequestException as error:
                raise TryAgain(describe_failure(error)) from None
            if not answer.is_redirect:
                return answer
            answer.close()
            try:
                url, params = urljoin(answer.url, answer.headers["Location"]), None
            except ValueError:
                raise TryAgain("was sent on to an address that can't be read", server_failed=True) from None
            if not may_redirect_to(url, self._base_url):
                host = (parse_origin(url) or ("", "an unknown address", 0))[1]
                raise DownloadError(f"{question.what}: was sent on to {host}, which is not where Drive keeps files")
            # Where Google serves contents from, the address is what lets in: the token has no business there.
            session = self._session if may_receive_token(url, self._base_url) else self._bare
        raise DownloadError(f"{question.what}: was sent on more than {MAX_REDIRECTS} times")
