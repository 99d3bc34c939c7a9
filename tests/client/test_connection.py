from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any

import pytest
import requests

from rag_pipeline.client import AccessDeniedError, UnreachableError
from rag_pipeline.client.connection import Connection
from rag_pipeline.client.service_url import ServiceUrl
from rag_pipeline.contract import events
from tests.client.scripted import refuse, scripted
from tests.journal.cut_proxy import proxy_to
from tests.socket_server.support import clients, new_pipeline, serving
from tests.support.ports import taken_port
from tests.support.waiting import wait_until

TRANSPORTS = [["websocket"], ["polling"], ["websocket", "polling"]]


@contextmanager
def connection(
    port: int, at_each: Callable[[], object] = lambda: None, namespace: str = "/pipeline"
) -> Iterator[tuple[Connection, list[tuple[str, dict[str, Any]]]]]:
    received: list[tuple[str, dict[str, Any]]] = []

    def receive(name: str, data: dict[str, Any]) -> None:
        at_each()
        received.append((name, data))

    with requests.Session() as session:
        session.trust_env = False
        made = Connection(ServiceUrl("http", "127.0.0.1", port), namespace, session, receive)
        try:
            yield made, received
        finally:
            made.close()


@pytest.mark.parametrize("transports", TRANSPORTS)
def test_the_root_namespace_works_like_any_other(transports: list[str]) -> None:
    pipeline = new_pipeline()
    with serving(pipeline) as server, connection(server.socket_port, namespace="/") as (made, received):
        made.open({}, transports, 10)
        pipeline.update(status="running")
        wait_until(lambda: bool(received) and received[-1][1]["status"] == "running")
        made.close()
        wait_until(lambda: clients(server)["total"] == 0)


def test_a_reset_connection_leaves_no_socket_open() -> None:
    with (
        serving(new_pipeline()) as server,
        proxy_to(server.socket_port) as proxy,
        connection(proxy.port) as (made, _),
    ):
        made.open({}, ["websocket"], 10)
        sock = made._engine.ws.sock
        proxy.reset()
        assert made.wait(10)
        made.close()
        assert sock.fileno() < 0


@pytest.mark.parametrize("transports", TRANSPORTS)
def test_events_come_in_order_until_the_connection_is_closed(transports: list[str]) -> None:
    pipeline = new_pipeline()
    threads: set[int] = set()
    with (
        serving(pipeline) as server,
        connection(server.socket_port, lambda: threads.add(get_ident())) as (
            made,
            received,
        ),
    ):
        made.open({}, transports, 10)
        for n in range(200):
            pipeline.update(own={"n": n})
        wait_until(lambda: bool(received) and received[-1][1].get("n") == 199)
        assert len(threads) == 1, "one thread each would have no order"
        numbers = [data["seq"] for _, data in received]
        assert numbers == sorted(numbers)
        assert {name for name, _ in received} == {events.STATUS}
        before = threading.active_count()
        made.close()
        made.close()
        assert threading.active_count() < before
        wait_until(lambda: clients(server)["total"] == 0)
        assert made.wait(0)


@pytest.mark.slow
@pytest.mark.parametrize("transports", TRANSPORTS)
def test_a_stopping_server_ends_the_connection(transports: list[str]) -> None:
    with serving(new_pipeline()) as server, connection(server.socket_port) as (made, _):
        made.open({}, transports, 10)
        assert not made.wait(0)
        server.stop()
        assert made.wait(20)


@pytest.mark.slow
@pytest.mark.parametrize("transports", TRANSPORTS)
def test_a_cut_ends_the_connection(transports: list[str]) -> None:
    with (
        serving(new_pipeline()) as server,
        proxy_to(server.socket_port) as proxy,
        connection(proxy.port) as (made, _),
    ):
        made.open({}, transports, 10)
        proxy.cut()
        assert made.wait(20)


def test_it_falls_back_to_polling() -> None:
    with serving(new_pipeline(), transports=("polling",)) as server, connection(server.socket_port) as (made, received):
        made.open({}, ["websocket", "polling"], 10)
        wait_until(lambda: bool(received))
        assert made._engine.transport() == "polling"


def test_an_unreachable_server_is_an_error_with_the_reason() -> None:
    with taken_port() as port:
        pass
    with connection(port) as (made, _), pytest.raises(UnreachableError, match="Connection refused"):
        made.open({}, ["websocket", "polling"], 10)


def test_the_http_server_does_not_speak_socket_io() -> None:
    with (
        serving(new_pipeline()) as server,
        connection(server.http_port) as (made, _),
        pytest.raises(UnreachableError, match="it answered 404"),
    ):
        made.open({}, ["websocket", "polling"], 10)


@pytest.mark.parametrize("answer", [b"", b"hello\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwhat"])
@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_a_server_that_sends_garbage_is_unreachable(answer: bytes, transport: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.recv(4096)
                sock.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with connection(listener.getsockname()[1]) as (made, _), pytest.raises(UnreachableError):
            made.open({}, [transport], 10)
        thread.join(60)


def test_a_server_that_never_answers_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with connection(port) as (made, _), pytest.raises(UnreachableError, match="no answer in time"):
            made.open({}, ["websocket"], 0.2)


@pytest.mark.slow
def test_a_refusal_has_its_code_and_the_server_got_the_auth() -> None:
    with scripted() as script, connection(script.port) as (made, _):
        script.on_connect = lambda _auth: refuse("token_invalid")
        with pytest.raises(AccessDeniedError) as refused:
            made.open({"token": "abc"}, ["polling"], 10)
        assert refused.value.code == "token_invalid"
        assert script.auths == [{"token": "abc"}]


def test_a_disconnect_by_the_server_ends_the_connection() -> None:
    with scripted() as script, connection(script.port) as (made, _):
        made.open({}, ["polling"], 10)
        script.end_session()
        assert made.wait(20)
        assert made.reason == "the service ended the session"


@pytest.mark.slow
def test_an_interrupt_ends_the_wait_for_an_answer() -> None:
    with scripted() as script, connection(script.port) as (made, received):
        script.on_connect = lambda _auth: made.interrupt()
        with pytest.raises(UnreachableError, match="closed"):
            made.open({}, ["polling"], 10)
        assert received == []
