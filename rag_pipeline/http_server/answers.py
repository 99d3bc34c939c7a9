"""What the HTTP server says: one pure function from a request to status, headers and body."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from rag_pipeline.access import EVERYTHING, OPEN, Access, Guard, Refusal
from rag_pipeline.access.bearer import token_of
from rag_pipeline.access.decision import not_allowed
from rag_pipeline.access.hosts import HostPolicy
from rag_pipeline.access.origins import ALLOWED_METHODS, CONTROL_METHODS, OriginPolicy, request_scheme
from rag_pipeline.contract import DOCUMENTS, document
from rag_pipeline.contract.events import NS_PIPELINE
from rag_pipeline.http_server import assets, control, history, page, states
from rag_pipeline.http_server.challenge import refused
from rag_pipeline.http_server.content import (
    JSON_TYPE,
    Content,
    Opener,
    error_content,
    json_content,
    quoted,
)
from rag_pipeline.http_server.scoped_view import LimitedSource
from rag_pipeline.http_server.service_view import Health, Source
from rag_pipeline.status.control import Action

__all__ = ["Answer", "Health", "Request", "Source", "Streaming", "answer", "error_answer"]

# The text format of Prometheus, version 0.0.4, as prometheus_client writes it.
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
HTML_TYPE = "text/html; charset=utf-8"
RETRY_SECONDS = 5
ADDRESSES = (
    "/, /status, /status/<pipeline_id>, /events, /files, /health, /metrics, /control/<pipeline_id>/<action>, "
    "/openapi.json or /asyncapi.json"
)


@dataclass(frozen=True, slots=True)
class Request:
    """A parsed request: ``target`` as it stood in the request line, header names in lower case.

    ``address`` tells where it came from, for the log: the client's, or a proxy's.
    """

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    address: Callable[[], str] = lambda: "an unknown address"


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


class _Resource(NamedTuple):
    """What makes the content of a target, and the methods it is had by."""

    make: Callable[[], Content]
    methods: str = ALLOWED_METHODS


_Seen = Callable[[Source], Content]


def answer(
    request: Request, source: Source, policy: OriginPolicy, guard: Guard = OPEN, hosts: HostPolicy | None = None
) -> Answer:
    """Return the answer to the request; what ``source`` raises is raised.

    Whatever tells of pipelines is for those whose token the guard lets through. Without ``hosts`` all are allowed.
    """
    host = request.headers.get("host")
    if hosts is not None and (wrong := hosts.refusal(host) or hosts.refusal(_authority(request.target))) is not None:
        return error_answer(HTTPStatus.MISDIRECTED_REQUEST, wrong, send_body=request.method != "HEAD")
    origin = request.headers.get("origin")
    scheme = request_scheme(request.headers.get("x-forwarded-proto"))
    resource = _find(request, source, guard, policy)
    if request.method == "OPTIONS" and not isinstance(resource, Content):
        cors = policy.preflight_headers(origin, host=host, scheme=scheme, methods=resource.methods)
        return Answer(HTTPStatus.NO_CONTENT, {"Allow": resource.methods, **cors})
    cors = policy.headers(origin, host=host, scheme=scheme)
    if isinstance(resource, Content):
        content = resource
    elif request.method in resource.methods.split(", "):
        content = _unless_known(resource.make(), request.headers.get("if-none-match", ""))
    else:
        message = f"{_shown(request.method)} is not possible here: use {resource.methods}"
        content = error_content(HTTPStatus.METHOD_NOT_ALLOWED, message, {"Allow": resource.methods})
    return _finish(content, cors, send_body=request.method != "HEAD")


def error_answer(status: HTTPStatus, message: str, *, send_body: bool = True) -> Answer:
    """Return the JSON answer to a request that could not be read or served."""
    return _finish(error_content(status, message), {}, send_body=send_body)


def _find(request: Request, source: Source, guard: Guard, policy: OriginPolicy) -> _Resource | Content:
    """Return what makes the content of the target, or the error when the target can't be had by any method."""

    def guarded(make: _Seen, *, whole: bool = False) -> _Resource:
        return _Resource(lambda: _guarded(request, source, guard, make, whole=whole))

    if request.target == "*" and request.method == "OPTIONS":
        return _Resource(lambda: json_content(HTTPStatus.OK, {}))
    try:
        path, query = _split(request.target)
        segments = [unquote(segment, errors="strict") for segment in path.split("/")[1:]]
    except ValueError:
        return error_content(HTTPStatus.BAD_REQUEST, f"{_shown(request.target)} is not a path this server can read")
    if len(segments) > 1 and not segments[-1]:
        segments.pop()
    match segments:
        case [""]:
            return _Resource(lambda: _page(source, request.headers.get("host")))
        case ["status"]:
            return guarded(lambda seen: states.status(seen, query))
        case ["status", pipeline_id]:
            return guarded(lambda seen: states.pipeline(seen, pipeline_id, query))
        case ["events"]:
            return guarded(lambda seen: history.events(seen, query, request.headers))
        case ["files"]:
            return guarded(lambda seen: history.files(seen, query))
        case ["metrics"]:
            return guarded(lambda seen: Content(HTTPStatus.OK, METRICS_TYPE, seen.metrics()), whole=True)
        case ["health"]:
            return _Resource(lambda: _health(source, _access(request, guard)))
        case [name] if name in DOCUMENTS:
            return _Resource(lambda: Content(HTTPStatus.OK, JSON_TYPE, document(name)))
        case ["dashboard", name] if (asset := assets.find(name)) is not None:
            return _Resource(lambda: asset)
        case ["control", pipeline_id, action] if action in tuple(Action):
            order = control.Order(pipeline_id, Action(action), query)
            asked = guarded(lambda seen: control.direct(seen, order, welcome=_is_welcome(request, policy, guard)))
            return asked._replace(methods=CONTROL_METHODS)
    return error_content(HTTPStatus.NOT_FOUND, f"nothing at {_shown(path)}: try {ADDRESSES}")


def _is_welcome(request: Request, policy: OriginPolicy, guard: Guard) -> bool:
    """Return whether the request may change something: no page of a stranger's sent it (CSRF).

    Who has shown a token has been asked already: browsers add none by themselves.
    """
    headers = request.headers
    origin, host = headers.get("origin"), headers.get("host")
    scheme = request_scheme(headers.get("x-forwarded-proto"))
    if guard.required:
        return origin is None or policy.allows(origin, host=host, scheme=scheme)
    return policy.may_act(origin, host=host, scheme=scheme, fetch_site=headers.get("sec-fetch-site"))


def _access(request: Request, guard: Guard) -> Access | Refusal:
    access = guard.check(token_of(request.headers.get("authorization")))
    if isinstance(access, Refusal):
        guard.refusals.note(access, request.address, request.headers.get("x-forwarded-for"))
    return access


def _guarded(request: Request, source: Source, guard: Guard, make: _Seen, *, whole: bool) -> Content:
    """Return the content as the token's holder may see it; with ``whole`` it is for those who may see everything."""
    access = _access(request, guard)
    if isinstance(access, Refusal):
        return refused(access)
    if whole and access.limited:
        return refused(not_allowed(NS_PIPELINE))
    return make(_seen(source, access))


def _seen(source: Source, access: Access) -> Source:
    return source if access == EVERYTHING else LimitedSource(source, access)


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


def _authority(target: str) -> str | None:
    """Return the host of an absolute target, which counts for more than the header (RFC 9112, section 3.2.2)."""
    if target.startswith(("/", "*")):
        return None
    try:
        return urlsplit(target).netloc or None
    except ValueError:
        return None


def _health(source: Source, access: Access | Refusal) -> Content:
    """Return how the service is: a load balancer, which has no token, is told whether it is up and no more."""
    if isinstance(access, Refusal):
        health = source.health()
        health = Health(health.ok, {"status": health.body.get("status")})
    else:
        health = _seen(source, access).health()
    return json_content(HTTPStatus.OK if health.ok else HTTPStatus.SERVICE_UNAVAILABLE, health.body)


def _page(source: Source, host: str | None) -> Content:
    body = page.render(source.addresses, control=source.controllable).encode()
    policy = page.content_security_policy(source.addresses, host)
    headers = {"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"}
    return Content(HTTPStatus.OK, HTML_TYPE, body, headers)


def _unless_known(content: Content, known: str) -> Content:
    """Return the content, or 304 where the client has it already (RFC 9110, section 13.1.2)."""
    tag = content.headers.get("ETag")
    if tag is None or tag not in (one.strip().removeprefix("W/") for one in known.split(",")):
        return content
    return Content(HTTPStatus.NOT_MODIFIED, content.content_type, b"", content.headers)


def _shown(text: str) -> str:
    """Quote what the client sent without a query string: secrets may stand in it."""
    return quoted(text.partition("?")[0])


def _finish(content: Content, cors: Mapping[str, str], *, send_body: bool) -> Answer:
    body = content.body
    length: dict[str, str] = {}
    if isinstance(body, bytes) and content.status != HTTPStatus.NOT_MODIFIED:
        length = {"Content-Length": str(len(body))}
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
