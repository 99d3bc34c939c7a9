"""The HTTP side of the driver: requests, errors and deadlines of connections."""

from __future__ import annotations

import logging
import socket
import time
from typing import Any

import pytest

from rag_pipeline.socket_server.eventlet_driver import http as driver_http
from rag_pipeline.socket_server.loop import CONNECTION, Environ
from tests.socket_server.eventlet_driver.driven import Driven
from tests.socket_server.support import exchange, request


def test_it_answers_http(driven: Driven) -> None:
    assert request(driven.port, "/")[::2] == (200, "hello")


def test_an_error_in_the_application_gets_500_without_a_traceback(
    driven: Driven, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    def app(_environ: Environ, _start: Any) -> list[bytes]:
        raise ValueError("secret")

    driven.app = app
    answer = exchange(driven.port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"secret" not in answer
    assert "Traceback" not in capfd.readouterr().err
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


def test_connections_have_tcp_nodelay(driven: Driven) -> None:
    kept: list[int] = []

    def app(environ: Environ, _start: Any) -> list[bytes]:
        fd = environ[CONNECTION].detach().fd
        with socket.socket(fileno=fd) as connection:
            kept.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        return []

    driven.app = app
    exchange(driven.port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert kept
    assert kept[0] != 0


@pytest.mark.slow
def test_slow_headers_have_one_deadline(driven: Driven, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver_http, "REQUEST_TIMEOUT_SECONDS", 0.5)
    with socket.create_connection(("127.0.0.1", driven.port), timeout=60) as client:
        client.sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
        client.settimeout(0.05)
        deadline = time.monotonic() + 10
        while True:
            assert time.monotonic() < deadline, "the server waits for ever"
            try:
                client.sendall(b"x")
                if client.recv(100) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
