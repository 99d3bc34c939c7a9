"""What the HTTP server says: one pure function from a request to status, headers and body."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol
from urllib.parse import unquote, urlsplit

from rag_pipeline.http_server import page
from rag_pipeline.http_server.encoding import encode_json
from rag_pipeline.origins import ALLOWED_METHODS, OriginPolicy, request_scheme

JSON_TYPE = "application/json; charset=utf-8"
HTML_TYPE = "text/html; charset=utf-8"
QUOTED_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Request:
    """A parsed request: ``target`` as it stood in the request line, header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers (``Content-Length`` among them) and the body to be sent, which is empty for ``HEAD``."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Health:
    """Whether every part of the service works, and the JSON object that tells the details."""

    ok: bool
    body: Mapping[str, object]


class Source(Protocol):
    """Where answers come from; called by several handler threads at once."""

    @property
    def addresses(self) -> page.Addresses:
        """The ports and namespaces a client can connect to."""

    def status(self) -> Mapping[str, object]:
        """Return the default pipeline's state, with ``pipelines`` (states by id) when there are several."""

    def pipeline(self, pipeline_id: str) -> Mapping[str, object] | None:
        """Return the state of one pipeline; None if there is no such id."""

    def health(self) -> Health:
        """Return the health of all parts, found out within a bounded time."""


@dataclass(frozen=True, slots=True)
class _Content:
    status: HTTPStatus
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


_Resource = Callable[[], _Content]


def answer(request: Request, source: Source, policy: OriginPolicy) -> Answer:
    """Return the answer to the request; what ``source`` raises is raised."""
    host = request.headers.get("host")
    origin = request.headers.get("origin")
    scheme = request_scheme(request.headers.get("x-forwarded-proto"))
    resource = _find(request, source)
    if request.method == "OPTIONS" and not isinstance(resource, _Content):
        cors = policy.preflight_headers(origin, host=host, scheme=scheme)
        return Answer(HTTPStatus.NO_CONTENT, {"Allow": ALLOWED_METHODS, **cors})
    cors = policy.headers(origin, host=host, scheme=scheme)
    if isinstance(resource, _Content):
        content = resource
    elif request.method in ("GET", "HEAD"):
        content = resource()
    else:
        message = f"{_quoted(request.method)} is not possible here: use {ALLOWED_METHODS}"
        content = _error(HTTPStatus.METHOD_NOT_ALLOWED, message, Allow=ALLOWED_METHODS)
    return _finish(content, cors, send_body=request.method != "HEAD")


def error_answer(status: HTTPStatus, message: str, *, send_body: bool = True) -> Answer:
    """Return the JSON answer to a request that could not be read or served."""
    return _finish(_error(status, message), {}, send_body=send_body)


def _find(request: Request, source: Source) -> _Resource | _Content:
    """Return what makes the content of the target, or the error when the target can't be had by any method."""
    if request.target == "*" and request.method == "OPTIONS":
        return lambda: _json(HTTPStatus.OK, {})
    try:
        # Proxies send the absolute form; a path that starts with // would be read as a host.
        path = request.target if request.target.startswith("/") else _absolute_path(request.target)
        path = path.partition("#")[0].partition("?")[0]
        segments = [unquote(segment, errors="strict") for segment in path.split("/")[1:]]
    except ValueError:
        return _error(HTTPStatus.BAD_REQUEST, f"{_quoted(request.target)} is not a path this server can read")
    if len(segments) > 1 and not segments[-1]:
        segments.pop()
    match segments:
        case [""]:
            return lambda: _page(source, request.headers.get("host"))
        case ["status"]:
            return lambda: _json(HTTPStatus.OK, source.status())
        case ["status", pipeline_id]:
            return lambda: _pipeline(source, pipeline_id)
        case ["health"]:
            return lambda: _health(source)
    return _error(HTTPStatus.NOT_FOUND, f"nothing at {_quoted(path)}: try /, /status, /status/<pipeline_id> or /health")


def _absolute_path(target: str) -> str:
    parts = urlsplit(target)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError("neither a path nor an absolute address")
    return parts.path or "/"


def _pipeline(source: Source, pipeline_id: str) -> _Content:
    state = source.pipeline(pipeline_id)
    if state is None:
        return _error(HTTPStatus.NOT_FOUND, f"no pipeline {_quoted(pipeline_id)}: see /status for the ones there are")
    return _json(HTTPStatus.OK, state)


def _health(source: Source) -> _Content:
    health = source.health()
    return _json(HTTPStatus.OK if health.ok else HTTPStatus.SERVICE_UNAVAILABLE, health.body)


def _page(source: Source, host: str | None) -> _Content:
    body = page.render(source.addresses, host).encode()
    headers = {"Content-Security-Policy": page.CONTENT_SECURITY_POLICY, "Referrer-Policy": "no-referrer"}
    return _Content(HTTPStatus.OK, HTML_TYPE, body, headers)


def _json(status: HTTPStatus, value: Mapping[str, object], **headers: str) -> _Content:
    return _Content(status, JSON_TYPE, encode_json(value) + b"\n", headers)


def _error(status: HTTPStatus, message: str, **headers: str) -> _Content:
    return _json(status, {"error": message}, **headers)


def _quoted(text: str) -> str:
    """Quote what the client sent on one bounded line, without a query string: secrets may stand in it."""
    return repr(text.partition("?")[0][:QUOTED_CHARACTERS])


def _finish(content: _Content, cors: Mapping[str, str], *, send_body: bool) -> Answer:
    headers = {
        "Content-Type": content.content_type,
        "Content-Length": str(len(content.body)),
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        **content.headers,
        **cors,
    }
    return Answer(content.status, headers, content.body if send_body else b"")
