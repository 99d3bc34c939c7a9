"""A request head is parsed, or rejected with the reason."""

from __future__ import annotations

import pytest

from rag_pipeline.http_server.request_head import HeadStage
from rag_pipeline.http_server.request_parser import ParsedRequest, RejectedRequestError, RequestParser


def parse(head: bytes, stage: HeadStage = HeadStage.WHOLE) -> ParsedRequest:
    return RequestParser(lambda: "192.0.2.1").parse(head, stage)


def test_method_target_headers_and_address_are_parsed() -> None:
    parsed = parse(b"GET /status?a=b HTTP/1.1\r\nHost: a\r\nX-One: 1\r\nx-one: 2\r\n\r\n")
    request = parsed.request
    assert (request.method, request.target, request.address()) == ("GET", "/status?a=b", "192.0.2.1")
    assert request.headers == {"host": "a", "x-one": "1, 2"}
    assert (parsed.closes, parsed.version) == (False, "HTTP/1.1")


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
    ],
)
def test_a_body_or_an_unkept_connection_closes_it(head: bytes) -> None:
    assert parse(head).closes


@pytest.mark.parametrize(
    ("head", "stage", "status", "message"),
    [
        (b"\x16\x03\x01", HeadStage.GARBAGE, 400, "this port speaks plain HTTP, not TLS"),
        (b"{}\r\n", HeadStage.GARBAGE, 400, "this is not an HTTP request"),
        (b"GET /\r\n", HeadStage.GARBAGE, 400, "the first line is not: method, path, HTTP/1.1"),
        (b"GET /long", HeadStage.TOO_LONG, 414, "the request line is too long"),
        (b"GET / HTTP/1.1\r\nHost: a", HeadStage.TOO_LONG, 431, "the request's headers are too long"),
        (b"GET / HTTP/1.1\r\nHost: a", HeadStage.TOO_SLOW, 408, "the request took too long to arrive"),
        (b"GET / HTTP/1.1\r\nHost: a", HeadStage.CUT, 400, "the request ended before its headers did"),
        (b"GET / HTTP/1.1\r\n\r\n", HeadStage.WHOLE, 400, "the Host header is missing"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", HeadStage.WHOLE, 400, "there is more than one Host header"),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
            HeadStage.WHOLE,
            400,
            "Content-Length is not a whole number",
        ),
    ],
)
def test_a_bad_request_is_rejected_with_the_reason(head: bytes, stage: HeadStage, status: int, message: str) -> None:
    with pytest.raises(RejectedRequestError) as caught:
        parse(head, stage)
    assert (caught.value.status, caught.value.message) == (status, message)
