"""Authenticated ``requests`` session for Drive; it sends the access token to Google only."""

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
"""Google's APIs compress answers only if the user agent names gzip too."""
_TOKEN_TIMEOUT = (10.0, 30.0)
_TOKEN_SECONDS = 60.0
_MAX_TOKEN_BYTES = 1 << 20
_FINAL = frozenset(
    {"access_denied", "admin_policy_enforced", "deleted_client", "disabled_client", "org_internal", "restricted_client"}
    | {"unauthorized_client", "unsupported_grant_type"}
)
"""OAuth error codes that are permanent, besides all that begin with ``invalid_``; the others may pass."""
_MAX_CONNECTIONS = 64


class TokenUnavailableError(requests.ConnectionError):
    """No access token for now; a retry may succeed. ``retry_after`` is the answer's ``Retry-After`` header."""

    def __init__(self, reason: str, retry_after: str | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class DriveSession(AuthorizedSession):
    """A ``requests.Session`` with Google's credentials; safe to use from several threads.

    One thread fetches the token for all, before it expires and once after a 401. The token goes only to Drive's own
    hosts and to ``base_url``: a request to any other host is an error, and redirects are not followed.

    ``explain`` turns a rejected refresh into the :class:`~rag_pipeline.sources.google_drive.errors.CredentialsError`
    to raise. ``on_refresh`` is called with the credentials after each refresh.
    """

    def __init__(
        self,
        credentials: Any,
        *,
        base_url: str = API_URL,
        explain: Callable[[RefreshError], CredentialsError],
        on_refresh: Callable[[Any], None] | None = None,
    ) -> None:
        # With Google's own retries of a 401, each thread would refresh the token.
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

        Raises CredentialsError, and requests.RequestException for failures that may pass, a missing token included.
        """
        if not may_receive_token(url, self._base_url):
            raise DriveError("request blocked: the URL is outside Google Drive and would receive the access token")
        kwargs["allow_redirects"] = False
        token = self._fresh_token(None)
        answer: requests.Response = super().request(method, url, *args, **kwargs)  # type: ignore[no-untyped-call]
        if answer.status_code == 401:
            answer.close()
            self._fresh_token(token)
            answer = super().request(method, url, *args, **kwargs)  # type: ignore[no-untyped-call]
        return answer

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None: redirects are not followed."""

    def close(self) -> None:
        """Close all connections; idempotent."""
        self._auth_request.close()
        super().close()  # type: ignore[no-untyped-call]

    def _fresh_token(self, rejected: str | None) -> str:
        """Return a valid token that is not the ``rejected`` one."""
        with self._refreshing:
            if not self.credentials.valid or self.credentials.token == rejected:
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
    """Adds nothing to a request. If it is set, ``requests`` does not replace the token by an entry of ~/.netrc."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Return the request."""
        return request


class PlainSession(requests.Session):
    """A session without credentials that neither follows redirects nor parses their targets."""

    def __init__(self) -> None:
        super().__init__()
        self.auth = NoAuth()

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None."""


class _TokenRequest:
    """Sends the token requests of google-auth: one attempt, bounded; a failure that may pass is a TransportError.

    google-auth's own transport sleeps between attempts, which nothing can interrupt, and logs what it sends.
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
    ) -> _TokenResponse:
        try:
            with self._session.request(
                method, url, data=body, headers=dict(headers or {}), timeout=_TOKEN_TIMEOUT, allow_redirects=False,
                stream=True,
            ) as answer:  # fmt: skip
                data = _read(answer)
        except (requests.RequestException, HTTPError) as error:
            raise _temporary(f"no access token: {describe_failure(error)}") from None
        status, reason = answer.status_code, f"no access token: Google answered {answer.status_code}"
        if status in (408, 429) or status >= 500:
            raise _temporary(reason, answer.headers.get("Retry-After"))
        value = _token_or_error_code(status, data)
        if value is None:
            raise _temporary(f"{reason} with unreadable content")
        if status != 200 and not value.startswith("invalid_") and value not in _FINAL:
            raise _temporary(f"{reason} ({value})" if _is_code(value) else reason, answer.headers.get("Retry-After"))
        return _TokenResponse(status, answer.headers, data)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()


class _TokenResponse:
    """A response with the attributes that google-auth reads."""

    def __init__(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
        self.status = status
        self.headers = headers
        self.data = data


def describe_failure(error: BaseException) -> str:
    """Return why a request failed: the innermost cause, because the outer errors repeat the URL."""
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


def _temporary(reason: str, retry_after: str | None = None) -> Exception:
    error: Exception = TransportError(TokenUnavailableError(reason, retry_after))  # type: ignore[no-untyped-call]
    return error


def _read(answer: requests.Response) -> bytes:
    """Return the whole answer, which must be short: all threads wait for it."""
    ends = time.monotonic() + _TOKEN_SECONDS
    data = b""
    while piece := answer.raw.read1(1 << 16, decode_content=True):
        data += piece
        if len(data) > _MAX_TOKEN_BYTES or time.monotonic() > ends:
            raise _temporary("no access token: the answer does not end")
    return data


def _token_or_error_code(status: int, body: bytes) -> str | None:
    """Return the access token of a 200, else the error code; None if the body has neither."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return None
    value = data.get("access_token" if status == 200 else "error") if isinstance(data, dict) else None
    return value if isinstance(value, str) else None


def _is_code(text: str) -> bool:
    return len(text) < 50 and text.isascii() and text.replace("_", "").isalnum()
