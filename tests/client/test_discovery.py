from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from rag_pipeline.client.discovery import Target, find_target
from rag_pipeline.client.service_url import ServiceUrl
from rag_pipeline.errors import AccessDeniedError, UnreachableError
from tests.support.ports import taken_port


class HealthServer(http.server.ThreadingHTTPServer):
    """Answers each path with the status and body that the test sets."""

    daemon_threads = True
    answers: dict[str, tuple[int, Any]]
    tokens: list[str | None]


class _HealthHandler(http.server.BaseHTTPRequestHandler):
    server: HealthServer

    def do_GET(self) -> None:
        self.server.tokens.append(self.headers["Authorization"])
        status, body = self.server.answers.get(self.path, (404, {"error": "nothing here"}))
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Bearer realm="x", error="invalid_token"')
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing."""


@contextmanager
def health_server(answers: dict[str, tuple[int, Any]]) -> Iterator[HealthServer]:
    server = HealthServer(("127.0.0.1", 0), _HealthHandler)
    server.answers, server.tokens = answers, []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join(60)
        server.server_close()


def target(server: HealthServer, path: str, namespace: str | None = None) -> Target:
    with requests.Session() as session:
        session.trust_env = False
        url = ServiceUrl("http", "127.0.0.1", server.server_port, path)
        return find_target(url, namespace, session, token=None, timeout_seconds=10)


def socket_url(server: HealthServer, token: str | None = None, path: str = "") -> ServiceUrl:
    with requests.Session() as session:
        session.trust_env = False
        url = ServiceUrl("http", "127.0.0.1", server.server_port, path)
        return find_target(url, None, session, token=token, timeout_seconds=10).url


def test_the_health_of_the_http_server_names_the_socket_io_port() -> None:
    with health_server({}) as server:
        health = {"http": {"port": server.server_port}, "socket_io": {"port": 8004}}
        server.answers["/health"] = (503, health)
        assert socket_url(server, token="abc") == ServiceUrl("http", "127.0.0.1", 8004)
        assert server.tokens == ["Bearer abc"]


@pytest.mark.parametrize(
    "answer",
    [
        (200, {"http": {"port": 8003}, "socket_io": {"port": 8004}}),  # behind a proxy: both share this origin
        (200, {"status": "ok", "clients": {}}),  # a Socket.IO server
        (200, {"http": None, "socket_io": {"port": "8004"}}),
        (200, ["health"]),
        (200, b"<html>"),
        (200, b"[" * 200_000),
        (200, b"\xff" * ((1 << 22) + 1)),
        (302, b""),
        (404, {"error": "nothing here"}),
    ],
)
def test_any_other_answer_means_that_the_url_is_that_of_socket_io(answer: tuple[int, Any]) -> None:
    with health_server({"/rag/health": answer}) as server:
        assert socket_url(server, path="/rag") == ServiceUrl("http", "127.0.0.1", server.server_port, "/rag")


OURS = (200, {"status": "ok", "clients": {}})
NOT_OURS = [(404, {"error": "nothing here"}), (404, {"status": 404, "error": "Not Found"}), (502, b"<html>")]


@pytest.mark.slow
@pytest.mark.parametrize("namespace", [None, "/local_files", "/"])
@pytest.mark.parametrize("other", NOT_OURS)
@pytest.mark.parametrize("path", ["", "/rag"])
@pytest.mark.parametrize("named", ["/pipeline", "/google_drive"])
def test_a_path_may_end_with_a_namespace(named: str, path: str, other: tuple[int, Any], namespace: str | None) -> None:
    with health_server({f"{path}{named}/health": other, f"{path}/health": OURS}) as server:
        assert target(server, path + named, namespace) == Target(
            ServiceUrl("http", "127.0.0.1", server.server_port, path), namespace or named
        )


@pytest.mark.parametrize(
    ("path", "answers"),
    [
        ("/pipeline", {"/pipeline/health": OURS, "/health": OURS}),  # a proxy serves the service at this path
        ("/pipeline", {}),  # a proxy serves only Socket.IO at this path
        ("/elsewhere", {"/health": OURS}),
        ("/local_files/rag", {"/health": OURS, "/local_files/health": OURS}),
        ("/pipelines", {"/health": OURS}),
    ],
)
def test_any_other_path_is_kept(path: str, answers: dict[str, tuple[int, Any]]) -> None:
    with health_server(answers) as server:
        assert target(server, path) == Target(ServiceUrl("http", "127.0.0.1", server.server_port, path), "/pipeline")


def test_the_url_of_the_http_server_may_end_with_a_namespace() -> None:
    with health_server({}) as server:
        health = {"status": "ok", "http": {"port": server.server_port}, "socket_io": {"port": 8004}}
        server.answers["/local_files/health"] = (404, {"error": "nothing here"})
        server.answers["/health"] = (200, health)
        assert target(server, "/local_files") == Target(ServiceUrl("http", "127.0.0.1", 8004), "/local_files")


@pytest.mark.parametrize(("token", "code"), [(None, "token_missing"), ("wrong", "token_invalid")])
def test_a_health_without_ports_means_that_the_token_is_refused(token: str | None, code: str) -> None:
    with health_server({"/health": (200, {"status": "ok"}), "/status": (401, {"error": "no"})}) as server:
        with pytest.raises(AccessDeniedError) as refused:
            socket_url(server, token)
        assert refused.value.code == code
        server.answers["/status"] = (404, {"error": "here is Socket.IO"})
        assert socket_url(server, token).port == server.server_port


def test_an_unreachable_server_is_reported_with_the_system_error() -> None:
    with taken_port() as port:
        pass
    with requests.Session() as session:
        session.trust_env = False
        with pytest.raises(UnreachableError, match=r"^Connection refused$"):
            find_target(ServiceUrl("http", "127.0.0.1", port), None, session, token=None, timeout_seconds=10)
