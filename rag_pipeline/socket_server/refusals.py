"""Requests that Engine.IO refuses before any session sees them, with the answers of Socket.IO's own server."""

from __future__ import annotations

import json
from collections.abc import Callable, Container
from typing import NamedTuple
from urllib.parse import parse_qs

from rag_pipeline.socket_server.loop import Environ

METHODS = "GET, POST, OPTIONS"
EIO_VERSION = "4"
FETCH_MODES = frozenset({"cors", "same-origin", "websocket"})
"""The ``Sec-Fetch-Mode`` of what a script of the page can read."""
_QUERY = "rag_pipeline.query"


class Refusal(NamedTuple):
    """An answer that is an error."""

    status: str
    body: dict[str, object]
    allow: str | None = None

    def encode(self) -> bytes:
        """Return the body: one line of JSON."""
        return json.dumps(self.body, separators=(",", ":")).encode()

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The headers that belong to it."""
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(self.encode())))]
        return headers + ([("Allow", self.allow)] if self.allow else [])


def bad_request(code: int, message: str, *, status: str = "400 Bad Request", allow: str | None = None) -> Refusal:
    """Return an error with one of Engine.IO's codes."""
    return Refusal(status, {"code": code, "message": message}, allow)


UNKNOWN_SID = bad_request(1, "Session ID unknown")
FULL = bad_request(3, "Too many sessions; try again in a second", status="503 Service Unavailable")
OVERLAP = bad_request(3, "Bad request: another poll of this session is under way, or its answer was lost")


def parameter(environ: Environ, name: str) -> str | None:
    """Return the first value of a query parameter; the query is parsed once for a request."""
    query: dict[str, list[str]] | None = environ.get(_QUERY)
    if query is None:
        query = environ[_QUERY] = parse_qs(environ.get("QUERY_STRING", ""))
    values = query.get(name)
    return values[0] if values else None


def refusal_for(environ: Environ, transports: Container[str], is_open: Callable[[str], bool]) -> Refusal | None:
    """Return why the request is refused before any session sees it, None if it is not.

    ``is_open`` tells whether there is a session with an id.
    """
    method = environ["REQUEST_METHOD"]
    if method == "OPTIONS":
        return None
    transport, sid = parameter(environ, "transport"), parameter(environ, "sid")
    if method not in ("GET", "POST") and (sid is not None or transport is None):
        status = "405 Method Not Allowed"
        return bad_request(2, f"this address answers {METHODS}", status=status, allow=METHODS)
    if transport is None or transport not in transports:
        return bad_request(0, "Transport unknown")
    if parameter(environ, "j") is not None:
        return bad_request(3, "Bad request: JSONP is not supported")
    # A page's script, image or frame, which could not read the answer.
    if environ.get("HTTP_SEC_FETCH_MODE", "cors") not in FETCH_MODES:
        return bad_request(3, "Bad request: this is for Socket.IO clients")
    if sid is not None:
        return None if is_open(sid) else UNKNOWN_SID
    if method != "GET":
        return bad_request(2, "Bad handshake method", allow=METHODS)
    if parameter(environ, "EIO") != EIO_VERSION:
        return bad_request(5, "Unsupported protocol version")
    return None


def is_client_library(path: str, below: str) -> bool:
    """Return whether the path is one where Socket.IO's own server has the client library for browsers."""
    return path.startswith(below) and path.endswith((".js", ".js.map"))
