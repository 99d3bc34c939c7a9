"""Start and stop of the Socket.IO server: ports, threads, failures."""

from __future__ import annotations

import socket
import threading

import pytest

from rag_pipeline.access.origins import OriginPolicy
from rag_pipeline.common.config import Settings
from rag_pipeline.common.listener import open_listener
from rag_pipeline.errors import PortInUseError, ServiceError
from rag_pipeline.journal.memory import MemoryBackend
from rag_pipeline.service.wiring import Wiring
from rag_pipeline.socket_server import SocketServer, application, server
from tests.socket_server.support import WebSocketSession, new_pipeline, request, serving


def make(port: int = 0, *, direct: bool = True) -> SocketServer:
    settings = Settings(http_port=0, socket_port=port)
    wiring = Wiring(MemoryBackend(), list, backlog_limit_bytes=settings.backlog_limit_bytes)
    return SocketServer(settings, OriginPolicy(settings, 1), wiring.hub, direct=direct)


@pytest.mark.parametrize("direct", [True, False])
def test_it_starts_answers_stops_and_frees_its_port(direct: bool) -> None:
    for _ in range(3):
        served = make(direct=direct)
        served.start()
        assert served.alive
        assert request(served.port, "/health")[0] == 200
        assert served.stop()
        assert served.stop(), "idempotent"
        open_listener("127.0.0.1", served.port).close()


@pytest.mark.slow
def test_a_taken_port_raises_in_the_callers_thread_and_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortInUseError, match=str(port)):
            make(port)


def test_a_server_that_was_never_started_can_be_stopped() -> None:
    served = make()
    assert served.stop()
    open_listener("127.0.0.1", served.port).close()


@pytest.mark.slow
@pytest.mark.parametrize("where", ["building", "beginning"])
def test_a_failed_start_raises_in_the_caller_and_frees_the_port(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no luck")

    if where == "building":
        monkeypatch.setattr(application.Application, "_build", fail)
        served = make()
        with pytest.raises(ServiceError, match="no luck"):
            served.start()
    else:
        monkeypatch.setattr(application.Application, "tick", fail)
        monkeypatch.setattr(server, "START_TIMEOUT_SECONDS", 0.5)
        served = make()
        with pytest.raises(ServiceError, match="did not start"):
            served.start()
    assert served.stop()
    open_listener("127.0.0.1", served.port).close()


def test_stop_from_several_threads_at_once() -> None:
    served = make()
    served.start()
    threads = [threading.Thread(target=served.stop) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not served.alive


def test_two_servers_in_one_process_serve_their_own_pipelines() -> None:
    one, other = new_pipeline(), new_pipeline()
    with serving(one) as first, serving(other) as second:
        one.update(status="running")
        other.update(status="idle")
        with WebSocketSession(first.socket_port) as a, WebSocketSession(second.socket_port) as b:
            assert a.follow(one).state != b.follow(other).state


@pytest.mark.slow
def test_mutations_during_start_and_stop_are_safe() -> None:
    pipeline = new_pipeline()
    stop = threading.Event()

    def mutate() -> None:
        while not stop.is_set():
            pipeline.update(status="running")

    worker = threading.Thread(target=mutate, daemon=True)
    worker.start()
    for _ in range(5):
        with serving(pipeline) as served, WebSocketSession(served.socket_port) as client:
            client.receive_event()
    stop.set()
    worker.join(60)
    assert not worker.is_alive()
