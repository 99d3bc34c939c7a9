"""One request to Drive and its answer: sent within bounds, redirected with care, and its failure given a name."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urljoin

import requests

from rag_pipeline.pipelines.google_drive.errors import DownloadError
from rag_pipeline.pipelines.google_drive.hosts import may_be_followed, may_have_token, origin_of
from rag_pipeline.pipelines.google_drive.refusal import failure_of, read_refusal
from rag_pipeline.pipelines.google_drive.retry import Pace, Retries, RetryPolicy, TryAgain
from rag_pipeline.pipelines.google_drive.session import TokenUnavailableError, UntouchedAuth, describe

MAX_REDIRECTS = 5
_MAX_ERROR_BYTES = 1 << 16


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
        self._pace = Pace(stop)
        self._bare = requests.Session()
        self._bare.auth = UntouchedAuth()

    def retries(self, what: str, policy: RetryPolicy | None = None) -> Retries:
        """Return the attempts at one request."""
        return Retries(policy or self.policy, self._pace, what)

    def get(
        self,
        question: Question,
        *,
        headers: Mapping[str, str] | None = None,
        stream: bool = False,
        accepted: frozenset[int] = frozenset({200}),
    ) -> requests.Response:
        """Return the answer to one attempt, to be closed by the caller.

        Raises TryAgain for what may pass, and a :class:`~rag_pipeline.pipelines.google_drive.errors.DriveError` for
        what will not.
        """
        answer = self._send(question, headers, stream)
        if answer.status_code in accepted:
            return answer
        with answer:
            try:
                body = next(answer.iter_content(_MAX_ERROR_BYTES), b"")
            except requests.RequestException:
                body = b""
        raise failure_of(
            read_refusal(answer.status_code, answer.headers, body),
            question.what,
            is_file=question.is_file,
            has_page_token=question.has_page_token,
            daily_seconds=self.policy.daily_seconds,
        )

    def _send(self, question: Question, headers: Mapping[str, str] | None, stream: bool) -> requests.Response:
        url, params = question.url, question.params
        session = self._session
        for _ in range(MAX_REDIRECTS + 1):
            try:
                answer = session.get(
                    url,
                    params=params,
                    headers=dict(headers or {}),
                    timeout=self.policy.timeout,
                    stream=stream,
                    allow_redirects=False,
                )
            except TokenUnavailableError as error:
                raise TryAgain(str(error), header=error.header) from None
            except requests.RequestException as error:
                raise TryAgain(describe(error)) from None
            if not answer.is_redirect:
                return answer
            answer.close()
            url, params = urljoin(answer.url, answer.headers["Location"]), None
            if not may_be_followed(url, self._base_url):
                host = (origin_of(url) or ("", "an unknown address", 0))[1]
                raise DownloadError(f"{question.what}: was sent on to {host}, which is not where Drive keeps files")
            # Where Google serves contents from, the address is what lets in: the token has no business there.
            session = self._session if may_have_token(url, self._base_url) else self._bare
        raise DownloadError(f"{question.what}: was sent on more than {MAX_REDIRECTS} times")
