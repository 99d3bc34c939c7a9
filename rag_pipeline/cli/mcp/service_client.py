"""Reads JSON from a running service over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rag_pipeline.errors import AccessDeniedError, UnreachableError

TIMEOUT_SECONDS = 30.0


class ServiceClient:
    """Sends GET requests to one service; thread-safe. Redirects are not followed: they would leak the token."""

    def __init__(self, url: str, token: Callable[[], str] | str | None) -> None:
        """Raise ConfigurationError for a malformed URL."""
        from rag_pipeline.client.service_url import parse_url

        self._url = parse_url(url)
        self._token = token

    def get(self, path: str, parameters: Mapping[str, str | int | None] | None = None) -> dict[str, Any]:
        """Return the JSON object at a path; parameters that are None are left out.

        Raises UnreachableError, or AccessDeniedError, in one line.
        """
        # Imported here because they take a moment to load, which no other command needs.
        import requests

        from rag_pipeline.client.failures import failure_reason

        token = self._token() if callable(self._token) else self._token
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        given = {name: value for name, value in (parameters or {}).items() if value is not None}
        try:
            with requests.Session() as session:
                session.trust_env = not self._url.loopback
                response = session.get(
                    f"{self._url}{path}", params=given, headers=headers, timeout=TIMEOUT_SECONDS, allow_redirects=False
                )
        except requests.RequestException as error:
            raise UnreachableError(f"no service at {self._url}: {failure_reason(error)}") from None
        try:
            body = response.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise UnreachableError(f"{self._url} is not the service: it answered {response.status_code} without JSON")
        if response.status_code in (401, 403):
            raise AccessDeniedError(f"{self._url}: {body.get('error', 'not allowed')}", code=body.get("code"))
        if response.status_code != 200:
            raise UnreachableError(f"{self._url}: {body.get('error', response.status_code)}")
        return body
