"""What comes over the wire, byte by byte."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag_pipeline.http_server.answers import Answer, Request
from rag_pipeline.http_server.encoding import encode_json
from rag_pipeline.http_server.handler import Limits
from rag_pipeline.http_server.server import HttpServer
from tests.http_server.support import (
    STATE,
    STREAM_REQUEST,
    connect,
    exchange,
    get,
    receive_all,
    serving,
    split,
    wait_until,
)

STATE_BYTES = encode_json(STATE) + b"\n"
QUICK = Limits(request_seconds=0.3, idle_seconds=0.3, write_seconds=0.3, linger_seconds=0.1)
PLAIN = b"GET /status HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET /status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[HttpServer]:
    with serving() as running:
        yield running


@pytest.fixture(scope="module")
def quick() -> Iterator[HttpServer]:
    with serving(limits=QUICK) as running:
        yield running


def test_an_answer_is_these_bytes(server: HttpServer) -> None:
    head, _, body = get(server).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines.pop(1).startswith("Date: ")
    assert lines == [
        "HTTP/1.1 200 OK",
        "Server: rag-pipeline",
        "Connection: close",
        "Content-Type: application/json; charset=utf-8",
        f"Content-Length: {len(STATE_BYTES)}",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        "Vary: Origin",
    ]
    assert body == STATE_BYTES


def test_head_and_options_have_no_body(server: HttpServer) -> None:
    assert get(server, method="HEAD").endswith(b"Vary: Origin\r\n\r\n")
    assert b"Content-Length: %d\r" % len(STATE_BYTES) in get(server, method="HEAD")
    assert get(server, method="OPTIONS").startswith(b"HTTP/1.1 204 No Content\r\n")


def test_pipelined_requests_are_answered_in_order(server: HttpServer) -> None:
    requests = PLAIN.replace(b"/status", b"/x") + b"\r\n" + PLAIN + LAST.replace(b"/status", b"/health")
    answers = split(exchange(server, requests + PLAIN))
    assert [status for status, _, _ in answers] == [404, 200, 200]
    assert [headers["connection"] for _, headers, _ in answers] == ["keep-alive", "keep-alive", "close"]


@pytest.mark.parametrize(
    ("version", "option", "kept"),
    [
        ("1.1", "", "keep-alive"),
        ("1.1", "Connection: TE, Close\r\n", "close"),
        ("1.0", "", "close"),
        ("1.0", "Connection: keep-alive\r\n", "keep-alive"),
    ],
)
def test_the_connection_is_kept_as_asked(server: HttpServer, version: str, option: str, kept: str) -> None:
    sent = f"GET /status HTTP/{version}\r\nHost: a\r\n{option}\r\n".encode()
    ((status, headers, _),) = split(exchange(server, sent, end=True))
    assert (status, headers["connection"]) == (200, kept)


@pytest.mark.parametrize(
    ("version", "chunked"),
    [("0.9", False), ("1.0", False), ("1.00", False), ("1.1", True), ("1.01", True), ("1.2", True), ("1.10", True)],
)
def test_a_stream_is_chunked_for_who_can_read_that(server: HttpServer, version: str, chunked: bool) -> None:
    with connect(server) as client:
        client.sendall(STREAM_REQUEST.replace(b"1.1", version.encode()))
        client.shutdown(socket.SHUT_WR)
        head, _, body = receive_all(client).partition(b"\r\n\r\n")
    assert (b"Transfer-Encoding: chunked" in head) == chunked
    assert body == (b"0\r\n\r\n" if chunked else b"")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /status\r\n", 400),
        (b"GET\r\n\r\n", 400),
        (b"GET /status HTTP/1.1 x\r\n\r\n", 400),
        (b"GET  /status HTTP/1.1\r\n\r\n", 400),
        (b"GET /sta\0tus HTTP/1.1\r\n\r\n", 400),
        (b"G\xc3T /status HTTP/1.1\r\n\r\n", 400),
        (b"GET /status HTTP/1.x\r\n\r\n", 400),
        (b"GET /status HTTP/2.0\r\n\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"\0\0\0\0", 400),
        (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + b"\xa5" * 500, 400),
        (b"\r\n\r\n\r\n\r\n\r\n", 400),
        (b"GET /status HTTP/1.1\r\n\r\n", 400),
        (b"GET /status HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET /status HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", 400),
        (b"GET /status HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        (b"GET /status HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400),
        (b"GET /status HTTP/1.1\r\nHost: a\0\r\n\r\n", 400),
        (b"GET /status HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
        (b"GET /status HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET /status HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400),
        (b"GET /status HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"1" * 4_000 + b"\r\n\r\n", 400),
        (b"GET /status HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET /status HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 400),
        (b"GET /status HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET /status HTTP/1.1\r\nX: a\rHost: a\r\n\r\n", 400),
        (b"GET /status HTTP/1.1\r\nHost: a\r\nX: a\rAuthorization: Bearer b\r\n\r\n", 400),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET /status HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", 431),
        (b"GET /status HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
        (b"x" * 1_000_000, 414),
    ],
    ids=lambda value: value if isinstance(value, int) else ascii(value[:40]),
)
def test_garbage_is_answered_as_json_and_closed(server: HttpServer, sent: bytes, status: int) -> None:
    ((found, headers, body),) = split(exchange(server, sent))
    assert (found, headers["connection"]) == (status, "close")
    assert headers["content-type"] == "application/json; charset=utf-8"
    message = json.loads(body)["error"]
    assert message
    assert message.isprintable()


def test_a_request_cut_short_is_400(server: HttpServer) -> None:
    for sent in (b"GE", PLAIN[:-2], PLAIN[:-4]):
        ((status, _, _),) = split(exchange(server, sent, end=True))
        assert status == 400


@pytest.mark.parametrize("framing", [b"Content-Length: 300000", b"Transfer-Encoding: chunked"])
def test_a_body_is_never_taken_for_a_request(server: HttpServer, framing: bytes) -> None:
    sent = b"POST /status HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n" + framing + b"\r\n\r\n" + PLAIN * 8_000
    ((status, headers, _),) = split(exchange(server, sent))
    assert (status, headers["connection"]) == (405, "close")


def test_a_refused_body_does_not_cost_the_client_its_answer(server: HttpServer) -> None:
    with connect(server) as client:
        client.sendall(b"POST /status HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000)
        received = client.recv(65536)
        while chunk := client.recv(65536):  # an orderly end: a reset would raise
            received += chunk
    ((status, _, _),) = split(received)
    assert status == 405


def test_a_client_that_sends_nothing_is_closed_without_a_word(quick: HttpServer) -> None:
    assert exchange(quick, b"") == b""
    ((status, headers, _),) = split(exchange(quick, PLAIN))
    assert (status, headers["connection"]) == (200, "keep-alive")


def test_a_client_that_sends_byte_by_byte_is_cut(quick: HttpServer) -> None:
    with connect(quick) as client:
        client.settimeout(0.05)
        received = b""
        for byte in PLAIN[:-1] * 100:
            try:
                client.send(bytes([byte]))
                received = client.recv(65536)
            except TimeoutError:
                continue
            except ConnectionError:
                break
            break
    ((status, _, body),) = split(received)
    assert (status, body) == (408, b'{"error":"the request took too long to arrive"}\n')


def test_a_client_that_does_not_read_is_cut() -> None:
    huge = Answer(200, {"Content-Length": "50000000"}, b"x" * 50_000_000)
    with serving(lambda _: huge, limits=QUICK) as server, connect(server) as client:
        client.sendall(PLAIN)
        assert client.recv(1) == b"H"
        wait_until(lambda: not server._open)
        assert len(receive_all(client)) < 50_000_000


def test_a_fault_is_500_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    def respond(request: Request) -> Answer:
        raise RuntimeError("broken")

    with serving(respond) as server:
        answers = split(exchange(server, PLAIN.replace(b"/status", b"/status?token=secret") + LAST))
    assert [status for status, _, _ in answers] == [500, 500]
    assert json.loads(answers[0][2]) == {"error": "the service could not answer; its log says why"}
    assert "broken" in caplog.text
    assert "secret" not in caplog.text


def test_requests_are_logged_without_the_query(server: HttpServer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "rag_pipeline.http"):
        get(server, "/status?token=secret")
    assert "GET '/status' 200" in caplog.text
    assert "secret" not in caplog.text


PIECES = st.lists(
    st.sampled_from([PLAIN, LAST, b"GET /status HTTP/1.1\r\n", b"Host: a\r\n", b"\r\n", b" ", b": ", b"\n", b"HEAD "])
    | st.binary(max_size=30),
    max_size=8,
).map(b"".join)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PIECES)
def test_whatever_is_sent_gets_valid_http_or_is_closed(server: HttpServer, sent: bytes) -> None:
    received = exchange(server, sent, end=True)
    assert received == b"" or received.startswith(b"HTTP/1.1 ")
    if b"HEAD" not in sent:
        split(received)
    assert get(server).startswith(b"HTTP/1.1 200 OK")
