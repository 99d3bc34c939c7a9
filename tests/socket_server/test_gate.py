"""Bodies of polling clients with every kind of framing, on raw connections."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator

import pytest

from rag_pipeline.service import StatusServer
from rag_pipeline.socket_server.eventlet_driver import http as driver_http
from rag_pipeline.status.pipeline import PipelineStatus
from tests.socket_server.support import HOST, PollingSession, new_pipeline, request, serving

pytestmark = pytest.mark.slow

CONNECT = b"c\r\n40/pipeline,\r\n0\r\n\r\n"


@pytest.fixture
def pipeline() -> PipelineStatus:
    return new_pipeline()


@pytest.fixture(params=[True, False], ids=["direct", "library"])
def server(request: pytest.FixtureRequest, pipeline: PipelineStatus) -> Iterator[StatusServer]:
    with serving(pipeline, direct=request.param) as running:
        yield running


@pytest.fixture
def session(server: StatusServer) -> Iterator[PollingSession]:
    with PollingSession(server.socket_port, namespace=None) as made:
        yield made


class Post:
    """A connection for hand-written requests."""

    def __init__(self, session: PollingSession) -> None:
        self._path = session.path
        self.socket = socket.create_connection((HOST, session.port), timeout=20)

    def send(self, headers: str, body: bytes) -> None:
        self.socket.sendall(f"POST {self._path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode() + body)

    def answer(self) -> tuple[int, str, bool]:
        """Return status, body, and whether the server keeps the connection."""
        answer = http.client.HTTPResponse(self.socket)
        answer.begin()
        return answer.status, answer.read().decode(), not answer.will_close


def post(session: PollingSession, headers: str, body: bytes) -> tuple[int, str, bool]:
    made = Post(session)
    with made.socket:
        made.send(headers, body)
        return made.answer()


def test_a_chunked_body_is_read(session: PollingSession, pipeline: PipelineStatus) -> None:
    status, body, kept = post(session, "Transfer-Encoding: chunked\r\n", CONNECT)
    assert (status, body.lower(), kept) == (200, "ok", True)
    while not (packet := session.receive()).startswith("42"):
        assert packet.startswith("40/pipeline,")


def test_a_chunked_body_in_pieces_is_read_and_its_connection_stays_usable(session: PollingSession) -> None:
    made = Post(session)
    with made.socket:
        for _ in range(3):
            made.send("Transfer-Encoding: chunked\r\n", b"5\r\n40/pi\r\n")
            made.socket.sendall(b"7;a=b\r\npeline,\r\n0\r\nTrailer: x\r\n\r\n")
            assert made.answer()[0] == 200


def test_a_client_that_expects_100_continue_gets_it(session: PollingSession) -> None:
    made = Post(session)
    with made.socket:
        made.send("Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n", b"")
        assert made.socket.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        made.socket.sendall(CONNECT)
        assert made.answer()[0] == 200


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ("", b"", 411),
        ("Content-Length: 0\r\n", b"", 400),
        ("Transfer-Encoding: chunked\r\n", b"0\r\n\r\n", 400),
        ("Transfer-Encoding: chunked\r\n", b"xyz\r\n", 400),
        ("Transfer-Encoding: chunked\r\n", b"5000\r\n", 413),
        ("Transfer-Encoding: chunked\r\n", b"2000\r\n" + b"x" * 0x2000 + b"\r\n2001\r\n" + b"x" * 0x2001, 413),
        ("Content-Length: 20000\r\n", b"x" * 20000, 413),
        ("Content-Length: 16385\r\n", b"", 413),
        ("Transfer-Encoding: gzip, chunked\r\n", CONNECT, 400),
        ("Transfer-Encoding: identity\r\n", b"40/pipeline,", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", CONNECT, 400),
        ("Content-Length: 12\r\nTransfer-Encoding: chunked\r\n", CONNECT, 400),
        ("Content-Length: 12\r\nContent-Length: 13\r\n", b"40/pipeline,", 400),
        ("Content-Length: +12\r\n", b"40/pipeline,", 400),
        ("Content-Length: 1_2\r\n", b"40/pipeline,", 400),
    ],
)
def test_a_body_that_is_not_read_is_an_error(session: PollingSession, headers: str, body: bytes, status: int) -> None:
    got, text, kept = post(session, headers, body)
    assert got == status
    assert json.loads(text)["code"] == 3
    assert not kept or status == 411 or body in (b"", b"0\r\n\r\n"), "what is left of the body can't be a request"


def test_a_body_that_ends_early_ends_the_session(session: PollingSession) -> None:
    made = Post(session)
    with made.socket:
        made.send("Content-Length: 100\r\n", b"40/pipeline,")
        made.socket.shutdown(socket.SHUT_WR)
        assert made.answer()[0] == 400
    assert request(session.port, session.path)[0] == 400


def test_a_slow_body_has_a_deadline(pipeline: PipelineStatus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver_http, "REQUEST_TIMEOUT_SECONDS", 0.5)
    with serving(pipeline) as server, PollingSession(server.socket_port, namespace=None) as session:
        made = Post(session)
        with made.socket:
            made.send("Content-Length: 100\r\n", b"40/")
            assert made.answer()[0] == 408
