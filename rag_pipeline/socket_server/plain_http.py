"""The plain HTTP answers of the Socket.IO port: ``/health`` for the service's own check, and errors."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable

from rag_pipeline.access import Guard
from rag_pipeline.access.bearer import bearer_token
from rag_pipeline.broadcast import Hub
from rag_pipeline.socket_server.error_answers import is_client_library
from rag_pipeline.socket_server.loop import Environ, StartResponse

SOCKET_IO_PATH = "/socket.io/"
HEALTH_PATH = "/health"


class PlainHttp:
    """The WSGI application for requests that are not Socket.IO."""

    def __init__(self, hub: Hub, guard: Guard, probe_token: str) -> None:
        self._hub = hub
        self._guard = guard
        self._probe_token = probe_token

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        path = environ.get("PATH_INFO", "")
        body: dict[str, object]
        status, body = "404 Not Found", {"error": f"there is no {path[:200]!r} here; Socket.IO is at {SOCKET_IO_PATH}"}
        if is_client_library(path, SOCKET_IO_PATH):
            body = {"error": "the client library is not served here; take socket.io-client from npm or a CDN"}
        headers = [("Content-Type", "application/json; charset=utf-8")]
        if path.rstrip("/") == HEALTH_PATH:
            if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
                status, body = "200 OK", {"status": "ok"}
                if self._may_see_counts(environ):
                    body |= {"clients": self._hub.clients(), "clients_dropped": self._hub.clients_dropped}
            else:
                status, body = "405 Method Not Allowed", {"error": "this address answers GET and HEAD"}
                headers.append(("Allow", "GET, HEAD"))
        text = json.dumps(body).encode()
        start_response(status, [*headers, ("Content-Length", str(len(text)))])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [text]

    def _may_see_counts(self, environ: Environ) -> bool:
        token = (bearer_token(environ.get("HTTP_AUTHORIZATION")) or "").encode(errors="replace")
        return not self._guard.required or hmac.compare_digest(token, self._probe_token.encode())


def misdirected(environ: Environ, start_response: StartResponse, reason: str) -> Iterable[bytes]:
    """Answer 421 to a request under a host name that is not the service's."""
    text = json.dumps({"code": 3, "message": reason}).encode()
    start_response(
        "421 Misdirected Request", [("Content-Type", "application/json"), ("Content-Length", str(len(text)))]
    )
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [text]
