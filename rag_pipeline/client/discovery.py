"""Finds the Socket.IO server and the namespace for the URL that a user gave, by asking ``/health``."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import requests

from rag_pipeline.client.failures import failure_reason, unauthorized_error
from rag_pipeline.client.service_url import ServiceUrl
from rag_pipeline.contract.events import NAMESPACES, NS_PIPELINE
from rag_pipeline.errors import UnreachableError

MAX_HEALTH_BYTES = 1 << 22


class Target(NamedTuple):
    """A Socket.IO server, and the namespace to join there."""

    url: ServiceUrl
    namespace: str


def find_target(
    url: ServiceUrl,
    namespace: str | None,
    session: requests.Session,
    *,
    token: str | None,
    timeout_seconds: float,
) -> Target:
    """Return the Socket.IO server, and the namespace: the given one, else the end of the path, else ``/pipeline``.

    If the URL is that of the HTTP server, its ``/health`` names the port of Socket.IO. It counts only if it also names
    the port that was asked: behind a proxy both servers share one origin, and a Socket.IO server names no ports. Then
    the URL itself is that of Socket.IO.

    A path that ends with the name of a namespace may also be where a proxy serves everything: whichever of the two
    paths has a ``/health`` of the service is right. If neither has, the path is kept.

    Raises UnreachableError if nothing answers, and AccessDeniedError if the service hides its ports because the token
    is missing or wrong.
    """
    http = _HttpClient(session, {} if token is None else {"Authorization": f"Bearer {token}"}, timeout_seconds)
    health = http.get_json(f"{url}/health")
    if not _is_health(health) and (shorter := _without_namespace(url)) is not None:
        other_health = http.get_json(f"{shorter.url}/health")
        if _is_health(other_health):
            health, (url, suffix) = other_health, shorter
            namespace = namespace or suffix
    return Target(_socket_io_url(http, url, health, token), namespace or NS_PIPELINE)


def _without_namespace(url: ServiceUrl) -> Target | None:
    """Split off the namespace at the end of the path; None if there is none."""
    path, slash, last = url.path.rpartition("/")
    return Target(url._replace(path=path), slash + last) if slash + last in NAMESPACES else None


def _is_health(body: Any) -> bool:
    return isinstance(body, dict) and isinstance(body.get("status"), str)


def _socket_io_url(http: _HttpClient, url: ServiceUrl, health: Any, token: str | None) -> ServiceUrl:
    http_port, socket_port = _port_of(health, "http"), _port_of(health, "socket_io")
    if socket_port is not None and http_port == url.port:
        return url._replace(port=socket_port)
    if isinstance(health, dict) and health.keys() == {"status"}:
        challenge = http.get_challenge(f"{url}/status")
        if challenge is not None:
            raise unauthorized_error(token, challenge)
    return url


def _port_of(health: Any, server: str) -> int | None:
    part = health.get(server) if isinstance(health, dict) else None
    port = part.get("port") if isinstance(part, dict) else None
    return port if isinstance(port, int) and 0 < port < 1 << 16 else None


class _HttpClient(NamedTuple):
    """GET requests to a server that may not be ours. Redirects are not followed: they would leak the token."""

    session: requests.Session
    headers: dict[str, str]
    timeout_seconds: float

    def get_json(self, url: str) -> Any:
        """Return the parsed body, None if it is not JSON; raises UnreachableError if there is no server."""
        body = bytearray()
        try:
            with self._get(url) as response:
                for piece in response.iter_content(1 << 16):
                    body += piece
                    if len(body) > MAX_HEALTH_BYTES:
                        return None
        except requests.ConnectionError as error:
            raise UnreachableError(failure_reason(error)) from None
        except requests.RequestException:
            return None  # something answers; whether it speaks Socket.IO shows when connecting
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            return None

    def get_challenge(self, url: str) -> str | None:
        """Return the ``WWW-Authenticate`` header of a 401, None for any other response."""
        try:
            with self._get(url) as response:
                return response.headers.get("WWW-Authenticate", "") if response.status_code == 401 else None
        except requests.RequestException:
            return None

    def _get(self, url: str) -> requests.Response:
        return self.session.get(
            url, headers=self.headers, timeout=self.timeout_seconds, allow_redirects=False, stream=True
        )
