"""The session that requests to Drive go through: it holds the credentials, and sends their token to Google alone."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import requests
from google.auth.exceptions import RefreshError, TransportError
from google.auth.transport.requests import AuthorizedSession
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError

from rag_pipeline.sources.google_drive.errors import CredentialsError, DriveError
from rag_pipeline.sources.google_drive.transport.hosts import API_URL, may_receive_token

USER_AGENT = "rag-pipeline (gzip)"
"""Google's APIs compress their answers for those only that say gzip here as well."""
_TOKEN_TIMEOUT = (10.0, 30.0)
_TOKEN_SECONDS = 60.0
_MAX_TOKEN_BYTES = 1 << 20
_FINAL = frozenset(
    {"access_denied", "admin_policy_enforced", "deleted_client", "disabled_client", "org_internal", "restricted_client"}
    | {"unauthorized_client", "unsupported_grant_type"}
)
"""What ends it beside all that is ``invalid_``; another word for why there is no token passes."""
_MAX_CONNECTIONS = 64


class TokenUnavailableError(requests.ConnectionError):
    """No access token could be had for now: what may be tried again, ``header`` being the answer's Retry-After."""

    def __init__(self, why: str, header: str | None = None) -> None:
        super().__init__(why)
        self.header = header


class DriveSession(AuthorizedSession):
    """A ``requests.Session`` with Google's credentials; safe to use from several threads.

    A token is had before it is needed and refreshed once on a 401, by one thread for all. What the credentials are
    refused with becomes the :class:`~rag_pipeline.sources.google_drive.errors.CredentialsError` that ``explain``
    returns. The token goes to Drive's own addresses and to ``base_url``, and a request elsewhere is an error; nothing
    is redirected. ``on_refresh`` is called with the credentials after each refresh.
    """

    def __init__(
        self,
        credentials: Any,
        *,
        base_url: str = API_URL,
        explain: Callable[[RefreshError], CredentialsError],
        on_refresh: Callable[[Any], None] | None = None,
    ) -> None:
        # Google's own retries of a 401 would have each thread refresh by itself.
        super().__init__(  # type: ignore[no-untyped-call]
            credentials, refresh_status_codes=(), max_refresh_attempts=0, auth_request=_TokenRequest()
        )
        self._base_url = base_url
        self._explain = explain
        self._on_refresh = on_refresh
        self._refreshing = threading.Lock()
        self.auth = NoAuth()
        self.headers["User-Agent"] = USER_AGENT
        adapter = HTTPAdapter(pool_maxsize=_MAX_CONNECTIONS)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
        """Send the request with the token.

        Raises CredentialsError, and requests.RequestException for what may pass, also if no token can be had for now.
        """
        if not may_receive_token(url, self._base_url):
            raise DriveError("an address outside of Google Drive was not asked, since the access token would go there")
        kwargs["allow_redirects"] = False
        used = self._token(None)
        answer: requests.Response = super().request(method, url, *args, **kwargs)  # type: ignore[no-untyped-call]
        if answer.status_code == 401:
            answer.close()
            self._token(used)
            answer = super().request(method, url, *args, **kwargs)  # type: ignore[no-untyped-call]
        return answer

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None: nothing is redirected."""

    def close(self) -> None:
        """Close all connections; idempotent."""
        self._auth_request.close()
        super().close()  # type: ignore[no-untyped-call]

    def _token(self, refused: str | None) -> str:
        """Return a token that is good for a while, another one than ``refused``."""
        with self._refreshing:
            if not self.credentials.valid or self.credentials.token == refused:
                self._refresh()
            token: str = self.credentials.token
            return token

    def _refresh(self) -> None:
        try:
            self.credentials.refresh(self._auth_request)
        except RefreshError as error:
            raise self._explain(error) from None
        except TransportError as error:
            cause = error.args[0] if error.args else error
            raise cause if isinstance(cause, TokenUnavailableError) else TokenUnavailableError(str(error)) from None
        if self._on_refresh is not None:
            self._on_refresh(self.credentials)


class NoAuth(AuthBase):
    """Leaves a request as it is; set, it keeps an entry in ~/.netrc from replacing the token."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Return the request."""
        return request


class PlainSession(requests.Session):
    """A session that adds nothing to a request, and redirects nothing: not even the address is looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.auth = NoAuth()

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None."""


class _TokenRequest:
    """How the credentials ask for a token: once, within bounds; what may pass becomes a TransportError at once.

    Google's own way sleeps between tries, which nothing could interrupt, and writes what is sent to its log.
    """

    def __init__(self) -> None:
        self._session = PlainSession()

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> _Answer:
        try:
            with self._session.request(
                method, url, data=body, headers=dict(headers or {}), timeout=_TOKEN_TIMEOUT, allow_redirects=False,
                stream=True,
            ) as answer:  # fmt: skip
                data = _read(answer)
        except (requests.RequestException, HTTPError) as error:
            raise _passing(f"no access token: {describe_failure(error)}") from None
        status, why = answer.status_code, f"no access token: Google answered {answer.status_code}"
        if status in (408, 429) or status >= 500:
            raise _passing(why, answer.headers.get("Retry-After"))
        word = _word(status, data)
        if word is None:
            raise _passing(f"{why} with something that can't be read")
        if status != 200 and not word.startswith("invalid_") and word not in _FINAL:
            raise _passing(f"{why} ({word})" if _is_word(word) else why, answer.headers.get("Retry-After"))
        return _Answer(status, answer.headers, data)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()


class _Answer:
    """An answer in the form that google-auth reads."""

    def __init__(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
        self.status = status
        self.headers = headers
        self.data = data


def describe_failure(error: BaseException) -> str:
    """Return what broke a request, in words: the innermost cause, since those around it repeat the address."""
    if isinstance(error, requests.ReadTimeout):
        return "no answer in time"
    if isinstance(error, requests.ConnectTimeout):
        return "no connection in time"
    inner: BaseException = error
    while inner.__context__ is not None:
        inner = inner.__context__
    if isinstance(inner, TimeoutError):
        return "no answer in time"
    strerror = getattr(inner, "strerror", None)
    return f"the connection failed ({strerror or type(inner).__name__})"


def _passing(why: str, header: str | None = None) -> Exception:
    error: Exception = TransportError(TokenUnavailableError(why, header))  # type: ignore[no-untyped-call]
    return error


def _read(answer: requests.Response) -> bytes:
    """Return the whole answer: all threads wait for it, so it must come to an end."""
    ends = time.monotonic() + _TOKEN_SECONDS
    data = b""
    while piece := answer.raw.read1(1 << 16, decode_content=True):
        data += piece
        if len(data) > _MAX_TOKEN_BYTES or time.monotonic() > ends:
            raise _passing("no access token: the answer does not come to an end")
    return data


def _word(status: int, body: bytes) -> str | None:
    """Return the token, or else the word for why there is none; None if that is no answer of a token endpoint's."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return None
    word = data.get("access_token" if status == 200 else "error") if isinstance(data, dict) else None
    return word if isinstance(word, str) else None


def _is_word(text: str) -> bool:
    return len(text) < 50 and text.isascii() and text.replace("_", "").isalnum()
