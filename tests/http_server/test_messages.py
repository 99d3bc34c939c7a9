"""Responses get the headers that every response has, and a body unless the request was HEAD."""

from __future__ import annotations

from http import HTTPStatus

from rag_pipeline.http_server.content import ResponseContent, json_content
from rag_pipeline.http_server.messages import HttpResponse, StreamBody, error_response, response_of
from rag_pipeline.http_server.sse import SseStream
from tests.http_server.support import StubFollower

CONTENT = json_content(HTTPStatus.OK, {"a": 1}, {"X-Own": "1"})
HEADERS = {
    "Content-Type": "application/json; charset=utf-8",
    "Content-Length": "8",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Own": "1",
    "Vary": "Origin",
}


def test_a_response_has_its_own_headers_and_those_of_every_response() -> None:
    assert response_of(CONTENT, {"Vary": "Origin"}) == HttpResponse(200, HEADERS, b'{"a":1}\n')


def test_head_has_the_same_headers_without_a_body() -> None:
    assert response_of(CONTENT, {"Vary": "Origin"}, send_body=False) == HttpResponse(200, HEADERS, b"")


def test_304_has_no_content_length() -> None:
    content = ResponseContent(HTTPStatus.NOT_MODIFIED, "text/css", b"", {"ETag": '"a"'})
    assert "Content-Length" not in response_of(content, {}).headers


def test_a_stream_has_no_length_and_a_refusal_with_a_retry_time() -> None:
    content = ResponseContent(HTTPStatus.OK, "text/event-stream", lambda: SseStream(StubFollower()))
    response = response_of(content, {"Vary": "Origin"})
    assert "Content-Length" not in response.headers
    assert isinstance(response.body, StreamBody)
    assert response.body.open is content.body
    refusal = response.body.refusal
    assert (refusal.status, refusal.headers["Retry-After"], refusal.headers["Vary"]) == (503, "5", "Origin")


def test_an_error_is_json() -> None:
    response = error_response(HTTPStatus.BAD_REQUEST, "bad")
    assert (response.status, response.body) == (400, b'{"error":"bad"}\n')
    assert error_response(HTTPStatus.BAD_REQUEST, "bad", send_body=False).body == b""
