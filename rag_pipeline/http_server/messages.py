"""HTTP requests and responses, independent of the connection they travel on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from rag_pipeline.http_server.content import Opener, ResponseContent, error_content, unavailable

STREAM_RETRY_SECONDS = 5


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A parsed request: ``target`` as in the request line, header names in lower case.

    ``address`` returns the client's or proxy's address, for the log.
    """

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    address: Callable[[], str] = lambda: "an unknown address"


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """Status, headers and body; the body is empty for ``HEAD``. A stream has no ``Content-Length``."""

    status: int
    headers: Mapping[str, str]
    body: bytes | StreamBody = b""


@dataclass(frozen=True, slots=True)
class StreamBody:
    """A body that is a stream, and the response to send if it can't be opened."""

    open: Opener
    refusal: HttpResponse


def response_of(content: ResponseContent, cors: Mapping[str, str], *, send_body: bool = True) -> HttpResponse:
    """Return the content as a response, with the headers that every response has."""
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
        return HttpResponse(content.status, headers)
    if isinstance(body, bytes):
        return HttpResponse(content.status, headers, body)
    return HttpResponse(content.status, headers, StreamBody(body, response_of(_too_many_streams(), cors)))


def error_response(status: HTTPStatus, message: str, *, send_body: bool = True) -> HttpResponse:
    """Return the JSON response to a request that could not be read or served."""
    return response_of(error_content(status, message), {}, send_body=send_body)


def _too_many_streams() -> ResponseContent:
    return unavailable(f"too many event streams; try again in {STREAM_RETRY_SECONDS} seconds", STREAM_RETRY_SECONDS)
