from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.client.address import Address, Target, parse, reason_of, target_of
from rag_pipeline.errors import AccessDeniedError, ConfigurationError, UnreachableError
from tests.support.ports import taken_port


@pytest.mark.parametrize(
    ("url", "address", "shown"),
    [
        ("http://127.0.0.1:8004", Address("http", "127.0.0.1", 8004), "http://127.0.0.1:8004"),
        ("https://Status.example.com/", Address("https", "status.example.com", 443), "https://status.example.com"),
        ("http://[::1]:8004/rag/", Address("http", "::1", 8004, "/rag"), "http://[::1]:8004/rag"),
    ],
)
def test_an_address_is_read_and_shown_again(url: str, address: Address, shown: str) -> None:
    assert parse(url) == address
    assert str(parse(url)) == shown


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:8004", "ftp://a", "http://", "http://a:port", "http://a:0", "http://a/?x=1", "http://[::1"]
)
def test_what_is_no_address_is_named(url: str) -> None:
    with pytest.raises(ConfigurationError, match="expected http"):
        parse(url)


def test_a_password_in_the_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse("http://user:hunter2@127.0.0.1:8004")
    assert "hunter2" not in str(refused.value)


@given(st.text())
def test_any_text_is_an_address_or_a_users_mistake(url: str) -> None:
    try:
        assert parse(str(parse(url))) == parse(url)
    except ConfigurationError:
        pass


def test_this_machine_is_known_by_its_names() -> None:
    assert [parse(f"http://{host}").loopback for host in ("localhost", "127.0.0.2", "[::1]", "example.com")] == [
        True,
        True,
        True,
        False,
    ]


class Answering(http.server.ThreadingHTTPServer):
    """Answers each path with what the test says: a status and a body."""

    daemon_threads = True
    answers: dict[str, tuple[int, Any]]
    asked: list[str | None]


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Answering

    def do_GET(self) -> None:
        self.server.asked.append(self.headers["Authorization"])
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
        """Say nothing."""


@contextmanager
def answering(answers: dict[str, tuple[int, Any]]) -> Iterator[Answering]:
    server = Answering(("127.0.0.1", 0), _Handler)
    server.answers, server.asked = answers, []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join(60)
        server.server_close()


def target(server: Answering, path: str, namespace: str | None = None) -> Target:
    with requests.Session() as session:
        session.trust_env = False
        address = Address("http", "127.0.0.1", server.server_port, path)
        return target_of(address, namespace, session, token=None, timeout_seconds=10)


def found(server: Answering, token: str | None = None, path: str = "") -> Address:
    with requests.Session() as session:
        session.trust_env = False
        address = Address("http", "127.0.0.1", server.server_port, path)
        return target_of(address, None, session, token=token, timeout_seconds=10).address


def test_beside_an_http_server_the_port_is_the_one_that_its_health_names() -> None:
    with answering({}) as server:
        health = {"http": {"port": server.server_port}, "socket_io": {"port": 8004}}
        server.answers["/health"] = (503, health)
        assert found(server, token="abc") == Address("http", "127.0.0.1", 8004)
        assert server.asked == ["Bearer abc"]


@pytest.mark.parametrize(
    "answer",
    [
        (200, {"http": {"port": 8003}, "socket_io": {"port": 8004}}),  # behind a proxy: both are on this origin
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
def test_whatever_else_answers_is_the_address_itself(answer: tuple[int, Any]) -> None:
    with answering({"/rag/health": answer}) as server:
        assert found(server, path="/rag") == Address("http", "127.0.0.1", server.server_port, "/rag")


OURS = (200, {"status": "ok", "clients": {}})
NOT_OURS = [(404, {"error": "nothing here"}), (404, {"status": 404, "error": "Not Found"}), (502, b"<html>")]


@pytest.mark.parametrize("namespace", [None, "/local_files", "/"])
@pytest.mark.parametrize("elsewhere", NOT_OURS)
@pytest.mark.parametrize("path", ["", "/rag"])
@pytest.mark.parametrize("named", ["/pipeline", "/google_drive"])
def test_a_path_may_end_with_a_namespace(
    named: str, path: str, elsewhere: tuple[int, Any], namespace: str | None
) -> None:
    with answering({f"{path}{named}/health": elsewhere, f"{path}/health": OURS}) as server:
        assert target(server, path + named, namespace) == Target(
            Address("http", "127.0.0.1", server.server_port, path), namespace or named
        )


@pytest.mark.parametrize(
    ("path", "answers"),
    [
        ("/pipeline", {"/pipeline/health": OURS, "/health": OURS}),  # where a proxy has put it
        ("/pipeline", {}),  # or where a proxy has put its Socket.IO server alone
        ("/elsewhere", {"/health": OURS}),
        ("/local_files/rag", {"/health": OURS, "/local_files/health": OURS}),
        ("/pipelines", {"/health": OURS}),
    ],
)
def test_any_other_path_is_kept(path: str, answers: dict[str, tuple[int, Any]]) -> None:
    with answering(answers) as server:
        assert target(server, path) == Target(Address("http", "127.0.0.1", server.server_port, path), "/pipeline")


def test_the_address_of_the_http_server_may_end_with_a_namespace() -> None:
    with answering({}) as server:
        health = {"status": "ok", "http": {"port": server.server_port}, "socket_io": {"port": 8004}}
        server.answers["/local_files/health"] = (404, {"error": "nothing here"})
        server.answers["/health"] = (200, health)
        assert target(server, "/local_files") == Target(Address("http", "127.0.0.1", 8004), "/local_files")


@pytest.mark.parametrize(("token", "code"), [(None, "token_missing"), ("wrong", "token_invalid")])
def test_a_service_that_hides_its_ports_has_refused_the_token(token: str | None, code: str) -> None:
    with answering({"/health": (200, {"status": "ok"}), "/status": (401, {"error": "no"})}) as server:
        with pytest.raises(AccessDeniedError) as refused:
            found(server, token)
        assert refused.value.code == code
        server.answers["/status"] = (404, {"error": "here is Socket.IO"})
        assert found(server, token).port == server.server_port


def test_where_nothing_answers_it_says_why_in_the_words_of_the_system() -> None:
    with taken_port() as port:
        pass
    with requests.Session() as session:
        session.trust_env = False
        with pytest.raises(UnreachableError, match=r"^Connection refused$"):
            target_of(Address("http", "127.0.0.1", port), None, session, token=None, timeout_seconds=10)


def test_reasons_are_found_among_the_causes() -> None:
    def caused(by: BaseException) -> Exception:
        try:
            raise ValueError("Connection error") from by
        except ValueError as error:
            return error

    assert reason_of(caused(ConnectionRefusedError(111, "Connection refused"))) == "Connection refused"
    assert reason_of(caused(TimeoutError("timed out"))) == "no answer in time"
    assert reason_of(ValueError("Unexpected status code 404 in server response")) == "it answered 404"
    assert reason_of(ValueError("(Caused by X('[Errno 113] No route to host'))")) == "No route to host"
    assert reason_of(ValueError("a\nb")) == "a b"
