"""What the HTTP server says: one pure function from a request to status, headers and body."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import unquote, urlsplit

from rag_pipeline.http_server import history, page
from rag_pipeline.http_server.content import Content, Opener, error_content, json_content, quoted
from rag_pipeline.http_server.source import Health, Source
from rag_pipeline.origins import ALLOWED_METHODS, OriginPolicy, request_scheme

__all__ = ["Answer", "Health", "Request", "Source", "Streaming", "answer", "error_answer"]

HTML_TYPE = "text/html; charset=utf-8"
RETRY_SECONDS = 5
ADDRESSES = "/, /status, /status/<pipeline_id>, /events, /files or /health"


@dataclass(frozen=True, slots=True)
class Request:
    """A parsed request: ``target`` as it stood in the request line, header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers and the body to be sent, which is empty for ``HEAD``.

    ``Content-Length`` is among the headers, but for a stream, whose length no one knows.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes | Streaming = b""


@dataclass(frozen=True, slots=True)
class Streaming:
    """A body that is a stream: what opens it, and what to answer instead when none can be had."""

    open: Opener
    refusal: Answer


_Resource = Callable[[], Content]


def answer(request: Request, source: Source, policy: OriginPolicy) -> Answer:
    """Return the answer to the request; what ``source`` raises is raised."""
    host = request.headers.get("host")
    origin = request.headers.get("origin")
    scheme = request_scheme(request.headers.get("x-forwarded-proto"))
    resource = _find(request, source)
    if request.method == "OPTIONS" and not isinstance(resource, Content):
        cors = policy.preflight_headers(origin, host=host, scheme=scheme)
        return Answer(HTTPStatus.NO_CONTENT, {"Allow": ALLOWED_METHODS, **cors})
    cors = policy.headers(origin, host=host, scheme=scheme)
    if isinstance(resource, Content):
        content = resource
    elif request.method in ("GET", "HEAD"):
        content = resource()
    else:
        message = f"{_shown(request.method)} is not possible here: use {ALLOWED_METHODS}"
        content = error_content(HTTPStatus.METHOD_NOT_ALLOWED, message, {"Allow": ALLOWED_METHODS})
    return _finish(content, cors, send_body=request.method != "HEAD")


def error_answer(status: HTTPStatus, message: str, *, send_body: bool = True) -> Answer:
    """Return the JSON answer to a request that could not be read or served."""
    return _finish(error_content(status, message), {}, send_body=send_body)


def _find(request: Request, source: Source) -> _Resource | Content:
    """Return what makes the content of the target, or the error when the target can't be had by any method."""
    if request.target == "*" and request.method == "OPTIONS":
        return lambda: json_content(HTTPStatus.OK, {})
    try:
        path, query = _split(request.target)
        segments = [unquote(segment, errors="strict") for segment in path.split("/")[1:]]
    except ValueError:
        return error_content(HTTPStatus.BAD_REQUEST, f"{_shown(request.target)} is not a path this server can read")
    if len(segments) > 1 and not segments[-1]:
        segments.pop()
    match segments:
        case [""]:
            return lambda: _page(source, request.headers.get("host"))
        case ["status"]:
            return lambda: json_content(HTTPStatus.OK, source.status())
        case ["status", pipeline_id]:
            return lambda: _pipeline(source, pipeline_id)
        case ["events"]:
            return lambda: history.events(source, query, request.headers)
        case ["files"]:
            return lambda: history.files(source, query)
        case ["health"]:
            return lambda: _health(source)
    return error_content(HTTPStatus.NOT_FOUND, f"nothing at {_shown(path)}: try {ADDRESSES}")


def _split(target: str) -> tuple[str, str]:
    """Return path and query string; raises ``ValueError`` for what has none."""
    # Proxies send the absolute form; a path that starts with // would be read as a host.
    if not target.startswith("/"):
        parts = urlsplit(target)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ValueError("neither a path nor an absolute address")
        return parts.path or "/", parts.query
    path, _, query = target.partition("#")[0].partition("?")
    return path, query


def _pipeline(source: Source, pipeline_id: str) -> Content:
    state = source.pipeline(pipeline_id)
    if state is None:
        message = f"no pipeline {_shown(pipeline_id)}: see /status for the ones there are"
        return error_content(HTTPStatus.NOT_FOUND, message)
    return json_content(HTTPStatus.OK, state)


def _health(source: Source) -> Content:
    health = source.health()
    return json_content(HTTPStatus.OK if health.ok else HTTPStatus.SERVICE_UNAVAILABLE, health.body)


def _page(source: Source, host: str | None) -> Content:
    body = page.render(source.addresses, host).encode()
    headers = {"Content-Security-Policy": page.CONTENT_SECURITY_POLICY, "Referrer-Policy": "no-referrer"}
    return Content(HTTPStatus.OK, HTML_TYPE, body, headers)


def _shown(text: str) -> str:
    """Quote what the client sent without a query string: secrets may stand in it."""
    return quoted(text.partition("?")[0])


def _finish(content: Content, cors: Mapping[str, str], *, send_body: bool) -> Answer:
    body = content.body
    length = {"Content-Length": str(len(body))} if isinstance(body, bytes) else {}
    headers = {
        "Content-Type": content.content_type,
        **length,
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        **content.headers,
        **cors,
    }
    if not send_body:
        return Answer(content.status, headers)
    if isinstance(body, bytes):
        return Answer(content.status, headers, body)
    return Answer(content.status, headers, Streaming(body, _finish(_no_stream(), cors, send_body=True)))


def _no_stream() -> Content:
    message = f"no further stream can be had now; try again in {RETRY_SECONDS} seconds"
    return error_content(HTTPStatus.SERVICE_UNAVAILABLE, message, {"Retry-After": str(RETRY_SECONDS)})
