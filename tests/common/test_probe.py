from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from rag_pipeline.common import probe as module
from rag_pipeline.common.probe import ProbeResult, probe, reachable
from rag_pipeline.service import start_status_server
from tests.support.ports import taken_port

PATIENT_SECONDS = 30.0


@contextmanager
def saying(answer: bytes, *, family: socket.AddressFamily = socket.AF_INET, hang: bool = False) -> Iterator[int]:
    """Serve one client: read its request, send the bytes, then close, or with ``hang`` stay silent."""
    asked: list[bytes] = []
    done = threading.Event()
    with socket.socket(family) as listener:
        listener.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        listener.listen()
        listener.settimeout(PATIENT_SECONDS)

        def serve() -> None:
            client, _ = listener.accept()
            with client:
                asked.append(client.recv(1 << 16))
                try:
                    client.sendall(answer)
                except OSError:  # it has closed the connection
                    return
                if hang:
                    done.wait(PATIENT_SECONDS)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            done.set()
            thread.join(PATIENT_SECONDS)
    assert asked[0].startswith(b"GET /health HTTP/1.1\r\n")


def test_the_token_is_sent_as_a_bearer_token() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENT_SECONDS)
        heads: list[bytes] = []

        def serve() -> None:
            client, _ = listener.accept()
            with client:
                heads.append(client.recv(1 << 16))
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n{}")

        thread = threading.Thread(target=serve)
        thread.start()
        port = listener.getsockname()[1]
        assert probe("127.0.0.1", port, "/health", timeout_seconds=PATIENT_SECONDS, token="a-token").ok
        thread.join(PATIENT_SECONDS)
    assert heads[0].endswith(b"\r\nAuthorization: Bearer a-token\r\n\r\n")


def ask(port: int, host: str = "127.0.0.1", timeout_seconds: float = PATIENT_SECONDS) -> ProbeResult:
    return probe(host, port, "/health", timeout_seconds=timeout_seconds)


@pytest.mark.slow
def test_both_servers_of_a_running_service_answer() -> None:
    with start_status_server(0, pipelines=[]) as server:
        for port in (server.http_port, server.socket_port):
            result = ask(port)
            assert (result.status, result.error, result.ok) == (200, None, True)
            assert result.body["status"] == "ok"
            assert 0 < result.seconds < PATIENT_SECONDS
        missing = probe("127.0.0.1", server.http_port, "/none", timeout_seconds=PATIENT_SECONDS)
    assert (missing.status, missing.error, missing.ok) == (404, "it answered 404", False)
    assert "error" in missing.body


def test_a_closed_port_is_an_error() -> None:
    with taken_port() as port:
        pass
    result = ask(port)
    assert (result.status, result.body, result.error, result.ok) == (None, None, "Connection refused", False)


@pytest.mark.slow
@pytest.mark.parametrize("said", [b"", b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{"])
def test_a_silent_server_times_out(said: bytes) -> None:
    with saying(said, hang=True) as port:
        result = ask(port, timeout_seconds=0.2)
    assert (result.status, result.error) == (None, "no answer within 0.2 seconds")
    assert result.seconds >= 0.19


def test_a_server_that_never_accepts_times_out() -> None:
    with taken_port() as port:
        assert ask(port, timeout_seconds=0.1).error == "no answer within 0.1 seconds"


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1\r\n\r\n{}",
        b"HTTP/1.1 twenty OK\r\n\r\n{}",
        b"HTTP/1.1 \xc2\xb2 OK\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\n\r\n<html>",
        b"HTTP/1.1 200 OK\r\n\r\n\xff\xfe",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 200_000,
        b"HTTP/1.1 " + b"9" * 5000 + b" OK\r\n\r\n{}",
        bytes(range(256)) * 10,
    ],
    ids=range(13),
)
def test_garbage_is_an_error(said: bytes) -> None:
    with saying(said) as port:
        result = ask(port)
    assert (result.status, result.body, result.ok) == (None, None, False)
    assert result.error is not None
    assert result.error.startswith("not an answer of this service")
    assert "\n" not in result.error
    assert len(result.error) < 300


def test_an_endless_answer_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ANSWER_BYTES", 1 << 16)
    with saying(b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (1 << 20) + b"{}") as port:
        result = ask(port)
    assert result.error == "not an answer of this service (the answer is too long)"


def test_an_unknown_host_is_an_error_and_no_exception() -> None:
    for name in ("no such host", "a" * 300, "nul\0name"):
        result = ask(80, host=name)
        assert result.error
        assert not result.ok


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
def test_ipv6_works() -> None:
    with saying(b"HTTP/1.1 200 OK\r\n\r\n[1]", family=socket.AF_INET6) as port:
        assert ask(port, host="::").body == [1]
    with start_status_server(0, host="::1", pipelines=[]) as server:
        assert ask(server.socket_port, host="::1").ok
        assert probe("::1", server.http_port, "/health", timeout_seconds=PATIENT_SECONDS).ok


def test_a_server_bound_to_all_addresses_is_reached_on_loopback() -> None:
    assert [reachable(host) for host in ("0.0.0.0", "::", "", "10.0.0.7")] == [
        *("127.0.0.1", "::1", "127.0.0.1", "10.0.0.7")
    ]
    with start_status_server(0, host="0.0.0.0", pipelines=[]) as server:
        assert ask(server.http_port, host="0.0.0.0").ok
