"""Routes a request to its response: a pure function over the service view."""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urlsplit

from rag_pipeline.access import EVERYTHING, OPEN, Access, AccessRefusal, Guard
from rag_pipeline.access.bearer import bearer_token
from rag_pipeline.access.decision import not_allowed
from rag_pipeline.access.hosts import HostPolicy
from rag_pipeline.access.origins import ALLOWED_METHODS, CONTROL_METHODS, OriginPolicy, request_scheme
from rag_pipeline.contract import DOCUMENTS, document
from rag_pipeline.contract.events import NS_PIPELINE
from rag_pipeline.errors import JournalBusyError, JournalError
from rag_pipeline.http_server import assets, control, document_search, history, page, states
from rag_pipeline.http_server.challenge import refused
from rag_pipeline.http_server.content import (
    JSON_TYPE,
    ResponseContent,
    error_content,
    json_content,
    quoted,
    unavailable,
)
from rag_pipeline.http_server.messages import HttpRequest, HttpResponse, error_response, response_of
from rag_pipeline.http_server.query import QueryError, decode_part
from rag_pipeline.http_server.scoped_view import ScopedView
from rag_pipeline.http_server.service_view import HealthReport, ServiceView
from rag_pipeline.status.control import Action

# The text format of Prometheus, version 0.0.4, as prometheus_client writes it.
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
HTML_TYPE = "text/html; charset=utf-8"
BUSY_RETRY_SECONDS = 1
ADDRESSES = (
    "/, /status, /status/<pipeline_id>, /events, /files, /search, /health, /metrics, /control/<pipeline_id>/<action>, "
    "/openapi.json or /asyncapi.json"
)

logger = logging.getLogger("rag_pipeline.http")


class _Route(NamedTuple):
    """Makes the content of a target, for the methods it allows."""

    make: Callable[[], ResponseContent]
    methods: str = ALLOWED_METHODS


def respond(
    request: HttpRequest,
    view: ServiceView,
    policy: OriginPolicy,
    guard: Guard = OPEN,
    hosts: HostPolicy | None = None,
) -> HttpResponse:
    """Return the response to the request. Exceptions of ``view`` other than journal errors are raised.

    Information about pipelines needs a token that the guard accepts. Without ``hosts`` every host name is allowed.
    """
    send_body = request.method != "HEAD"
    host = request.headers.get("host")
    if hosts is not None and (wrong := hosts.refusal(host) or hosts.refusal(_authority(request.target))) is not None:
        return error_response(HTTPStatus.MISDIRECTED_REQUEST, wrong, send_body=send_body)
    origin = request.headers.get("origin")
    scheme = request_scheme(request.headers.get("x-forwarded-proto"))
    route = _find(request, view, guard, policy)
    if request.method == "OPTIONS" and not isinstance(route, ResponseContent):
        cors = policy.preflight_headers(origin, host=host, scheme=scheme, methods=route.methods)
        return HttpResponse(HTTPStatus.NO_CONTENT, {"Allow": route.methods, **cors})
    if isinstance(route, ResponseContent):
        content = route
    elif request.method in route.methods.split(", "):
        content = _unless_cached(_make(route), request.headers.get("if-none-match", ""))
    else:
        message = f"{_quoted_path(request.method)} is not possible here: use {route.methods}"
        content = error_content(HTTPStatus.METHOD_NOT_ALLOWED, message, {"Allow": route.methods})
    return response_of(content, policy.headers(origin, host=host, scheme=scheme), send_body=send_body)


def _make(route: _Route) -> ResponseContent:
    """Make the content, or the error if the query is wrong or the journal can't be read."""
    try:
        return route.make()
    except QueryError as error:
        return error_content(HTTPStatus.BAD_REQUEST, str(error))
    except JournalBusyError as error:
        return unavailable(str(error), BUSY_RETRY_SECONDS)
    except JournalError as error:
        logger.warning("a request for the history failed: %s", error)
        return error_content(HTTPStatus.SERVICE_UNAVAILABLE, "the history can't be read now: see /health")


def _find(request: HttpRequest, view: ServiceView, guard: Guard, policy: OriginPolicy) -> _Route | ResponseContent:
    """Return the route of the target, or the error if no method is allowed on it."""

    def guarded(make: Callable[[ServiceView], ResponseContent], *, unlimited: bool = False) -> _Route:
        return _Route(lambda: _guarded(request, view, guard, make, unlimited=unlimited))

    if request.target == "*" and request.method == "OPTIONS":
        return _Route(lambda: json_content(HTTPStatus.OK, {}))
    try:
        path, query = _split(request.target)
        segments = [decode_part(segment) for segment in path.split("/")[1:]]
    except ValueError:
        message = f"{_quoted_path(request.target)} is not a path this server can read"
        return error_content(HTTPStatus.BAD_REQUEST, message)
    if len(segments) > 1 and not segments[-1]:
        segments.pop()
    match segments:
        case [""]:
            return _Route(lambda: _page(view, request.headers.get("host")))
        case ["status"]:
            return guarded(lambda scoped: states.status(scoped, query))
        case ["status", pipeline_id]:
            return guarded(lambda scoped: states.pipeline(scoped, pipeline_id, query))
        case ["events"]:
            return guarded(lambda scoped: history.events(scoped, query, request.headers))
        case ["files"]:
            return guarded(lambda scoped: history.files(scoped, query))
        case ["search"]:
            return guarded(lambda scoped: document_search.search(scoped, query))
        case ["metrics"]:
            return guarded(
                lambda scoped: ResponseContent(HTTPStatus.OK, METRICS_TYPE, scoped.metrics()), unlimited=True
            )
        case ["health"]:
            return _Route(lambda: _health(view, _access(request, guard)))
        case [name] if name in DOCUMENTS:
            return _Route(lambda: ResponseContent(HTTPStatus.OK, JSON_TYPE, document(name)))
        case ["dashboard", name] if (asset := assets.find(name)) is not None:
            return _Route(lambda: asset)
        case ["control", pipeline_id, name] if (action := Action.parse(name)) is not None:
            return guarded(
                lambda scoped: control.control(
                    scoped, pipeline_id, action, query, trusted=_is_trusted(request, policy, guard)
                )
            )._replace(methods=CONTROL_METHODS)
    return error_content(HTTPStatus.NOT_FOUND, f"nothing at {_quoted_path(path)}: try {ADDRESSES}")


def _is_trusted(request: HttpRequest, policy: OriginPolicy, guard: Guard) -> bool:
    """Return whether the request may change something: no page of another site has sent it (CSRF).

    Browsers add no token by themselves, so with a token only the origin is checked.
    """
    headers = request.headers
    origin, host = headers.get("origin"), headers.get("host")
    scheme = request_scheme(headers.get("x-forwarded-proto"))
    if guard.required:
        return origin is None or policy.allows(origin, host=host, scheme=scheme)
    return policy.may_act(origin, host=host, scheme=scheme, fetch_site=headers.get("sec-fetch-site"))


def _access(request: HttpRequest, guard: Guard) -> Access | AccessRefusal:
    access = guard.check(bearer_token(request.headers.get("authorization")))
    if isinstance(access, AccessRefusal):
        guard.refusals.note(access, request.address, request.headers.get("x-forwarded-for"))
    return access


def _guarded(
    request: HttpRequest,
    view: ServiceView,
    guard: Guard,
    make: Callable[[ServiceView], ResponseContent],
    *,
    unlimited: bool,
) -> ResponseContent:
    """Return the content in the scope of the request's token; ``unlimited`` refuses limited tokens."""
    access = _access(request, guard)
    if isinstance(access, AccessRefusal):
        return refused(access)
    if unlimited and access.limited:
        return refused(not_allowed(NS_PIPELINE))
    return make(_scoped(view, access))


def _scoped(view: ServiceView, access: Access) -> ServiceView:
    return view if access == EVERYTHING else ScopedView(view, access)


def _split(target: str) -> tuple[str, str]:
    """Return path and query string; raises ``ValueError`` if the target has no path."""
    # Proxies send the absolute form. A path is not parsed as a URL: one that starts with // would be read as a host.
    if not target.startswith("/"):
        parts = urlsplit(target)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ValueError("neither a path nor an absolute URL")
        return parts.path or "/", parts.query
    path, _, query = target.partition("#")[0].partition("?")
    return path, query


def _authority(target: str) -> str | None:
    """Return the host of an absolute target, which takes precedence over the header (RFC 9112, section 3.2.2)."""
    if target.startswith(("/", "*")):
        return None
    try:
        return urlsplit(target).netloc or None
    except ValueError:
        return None


def _health(view: ServiceView, access: Access | AccessRefusal) -> ResponseContent:
    """Return the health; without a valid token (a load balancer's request) only whether the service is up."""
    if isinstance(access, AccessRefusal):
        health = view.health()
        health = HealthReport(health.ok, {"status": health.body.get("status")})
    else:
        health = _scoped(view, access).health()
    return json_content(HTTPStatus.OK if health.ok else HTTPStatus.SERVICE_UNAVAILABLE, health.body)


def _page(view: ServiceView, host: str | None) -> ResponseContent:
    body = page.render(view.addresses, control=view.controllable).encode()
    policy = page.content_security_policy(view.addresses, host)
    headers = {"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"}
    return ResponseContent(HTTPStatus.OK, HTML_TYPE, body, headers)


def _unless_cached(content: ResponseContent, tags: str) -> ResponseContent:
    """Return the content, or 304 if the client has it already (RFC 9110, section 13.1.2)."""
    tag = content.headers.get("ETag")
    if tag is None or tag not in (one.strip().removeprefix("W/") for one in tags.split(",")):
        return content
    return ResponseContent(HTTPStatus.NOT_MODIFIED, content.content_type, b"", content.headers)


def _quoted_path(text: str) -> str:
    """Quote a client's text without its query string, which may contain a secret."""
    return quoted(text.partition("?")[0])
