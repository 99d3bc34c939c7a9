"""One request to Drive and its answer: sent within bounds, redirected with care, and its failure given a name."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import urljoin

import requests
from urllib3.exceptions import HTTPError

from rag_pipeline.sources.google_drive.errors import DownloadError
from rag_pipeline.sources.google_drive.hosts import may_be_followed, may_have_token, origin_of
from rag_pipeline.sources.google_drive.incoming import Incoming, Patience
from rag_pipeline.sources.google_drive.refusal import failure_of, read_refusal
from rag_pipeline.sources.google_drive.retry import Pace, Retries, RetryPolicy, TryAgain
from rag_pipeline.sources.google_drive.session import BareSession, TokenUnavailableError, describe

MAX_REDIRECTS = 5
MAX_ANSWER_BYTES = 1 << 26
"""Of one answer that is no content; a page of a thousand entries is some megabytes."""
_MAX_ERROR_BYTES = 1 << 16
_OK = frozenset({200})


class Question(NamedTuple):
    """What is asked: ``what`` begins the sentence of an error.

    ``is_file``: it is about one file, and so is a refusal. ``has_page_token``: that may be what is refused.
    """

    url: str
    what: str
    params: Mapping[str, str] | None = None
    is_file: bool = False
    has_page_token: bool = False


class Exchange:
    """Sends requests over a session; safe to use from several threads, which slow down together."""

    def __init__(self, session: requests.Session, *, base_url: str, policy: RetryPolicy, stop: threading.Event) -> None:
        self.policy = policy
        self._session = session
        self._base_url = base_url
        self._stop = stop
        self._pace = Pace(stop)
        self._bare = BareSession()

    def retries(self, what: str, check: Callable[[], None], policy: RetryPolicy | None = None) -> Retries:
        """Return the attempts at one request."""
        return Retries(policy or self.policy, self._pace, what, check)

    def body(self, question: Question, check: Callable[[], None]) -> bytes:
        """Return the whole answer to one attempt; raises as :meth:`get` does."""
        with self.get(question, check) as incoming:
            try:
                body = incoming.whole(MAX_ANSWER_BYTES)
            except HTTPError as error:
                raise TryAgain(describe(error)) from None
        if body is None:
            raise TryAgain(f"answered with more than {MAX_ANSWER_BYTES >> 20} MB", server_failed=True)
        return body

    def get(
        self,
        question: Question,
        check: Callable[[], None],
        *,
        headers: Mapping[str, str] | None = None,
        accepted: frozenset[int] | None = None,
    ) -> Incoming:
        """Return the answer to one attempt, to be closed by the caller.

        ``accepted`` are the statuses of a content; without it an answer of 200 has to be whole within the policy's
        time. ``check`` is called several times a second while nothing comes, and raises Stopped. Raises that, TryAgain
        for what may pass, and a :class:`~rag_pipeline.sources.google_drive.errors.DriveError` for what will not.
        """
        patience = Patience(self._stop, check, self.policy.answer_seconds)
        incoming = Incoming(lambda: self._send(question, headers), patience)
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
        raise failure_of(
            read_refusal(answer.status_code, answer.headers, body or b""),
            question.what,
            is_file=question.is_file,
            has_page_token=question.has_page_token,
            daily_seconds=self.policy.daily_seconds,
        )

    def _send(self, question: Question, headers: Mapping[str, str] | None) -> requests.Response:
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
                raise TryAgain(describe(error)) from None
            if not answer.is_redirect:
                return answer
            answer.close()
            try:
                url, params = urljoin(answer.url, answer.headers["Location"]), None
            except ValueError:
                raise TryAgain("was sent on to an address that can't be read", server_failed=True) from None
            if not may_be_followed(url, self._base_url):
                host = (origin_of(url) or ("", "an unknown address", 0))[1]
                raise DownloadError(f"{question.what}: was sent on to {host}, which is not where Drive keeps files")
            # Where Google serves contents from, the address is what lets in: the token has no business there.
            session = self._session if may_have_token(url, self._base_url) else self._bare
        raise DownloadError(f"{question.what}: was sent on more than {MAX_REDIRECTS} times")
