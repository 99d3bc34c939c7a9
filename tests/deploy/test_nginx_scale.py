"""deploy/nginx-scale.conf as it stands, but for ports and folder, in front of two real servers that share a Redis."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
import socketio

from rag_pipeline import PipelineStatus, StatusServer, start_status_server
from tests.contract.checking import check_event
from tests.deploy.files import ROOT
from tests.deploy.proxying import check, free_ports, needs_nginx, nginx
from tests.journal.redis_server import needs_redis, running
from tests.support.http_get import get_json
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.slow, needs_nginx, needs_redis]

# So many that each server has some, wherever the ports of this run put it on the ring: of 8, one run in 80 had none.
CLIENTS = [f"192.0.2.{n}" for n in range(1, 31)]
# In the image nginx runs without root from the start; here its workers keep the rights of the test.
OPTIONS = ["-g", f"daemon off;{' user root;' if os.geteuid() == 0 else ''}"]


class Stack(NamedTuple):
    """The proxy's port, the two servers behind it, and a pipeline of a third process's kind."""

    port: int
    servers: tuple[StatusServer, StatusServer]
    pipeline: PipelineStatus
    config: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def configure(folder: Path, port: int, ports: dict[str, tuple[int, int]]) -> Path:
    """Write the file with this test's ports and folder, each of which must stand in it, and return where."""
    text = (ROOT / "deploy" / "nginx-scale.conf").read_text()
    replacements = [(r"listen 8080;", f"listen 127.0.0.1:{port};"), (r"/tmp/", f"{folder}/")]
    for name, (http_port, socket_port) in ports.items():
        replacements += [(rf"server {name}:8003\b", f"server 127.0.0.1:{http_port}")]
        replacements += [(rf"server {name}:8004\b", f"server 127.0.0.1:{socket_port}")]
    for pattern, replacement in replacements:
        text, count = re.subn(pattern, replacement, text)
        assert count, f"deploy/nginx-scale.conf has no {pattern}"
    config = folder / "nginx.conf"
    config.write_text(text)
    return config


@contextmanager
def stack(folder: Path) -> Iterator[Stack]:
    """Run what the profile runs; the pipeline has a server of its own, which nothing leads to."""
    pipeline = PipelineStatus("local_files", f"scaled-{folder.name}")
    with ExitStack() as parts, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STATUS_REDIS_URL", parts.enter_context(running(folder / "redis")).url)
        # With no origin configured, a page of the proxy's own host name is the only one let in.
        patch.setenv("ENVIRONMENT", "production")
        patch.delenv("SOCKET_IO_CORS_ORIGIN", raising=False)
        one, two = (parts.enter_context(start_status_server(0, pipelines=[])) for _ in range(2))
        parts.enter_context(start_status_server(0, pipelines=[pipeline]))
        pipeline.update(status="running")

        def is_shown(server: StatusServer) -> bool:
            return get_json(server.http_port, f"/status/{pipeline.pipeline_id}").status == 200

        for server in (one, two):
            wait_until(partial(is_shown, server))
        ports = {f"status-{n}": (s.http_port, s.socket_port) for n, s in ((1, one), (2, two))}
        (port,) = free_ports(1)  # only now, so that none of those above takes it
        config = configure(folder, port, ports)
        parts.enter_context(nginx(config, port, *OPTIONS))
        yield Stack(port, (one, two), pipeline, config)


@pytest.fixture(scope="module")
def scale(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with stack(tmp_path_factory.mktemp("scale")) as running_stack:
        yield running_stack


def server_of(scale: Stack, client: str | None = None, address: str = "127.0.0.1") -> int:
    """Return the HTTP port of the server that answers what comes from the address, on behalf of the client if any."""
    connection = http.client.HTTPConnection("127.0.0.1", scale.port, timeout=60, source_address=(address, 0))
    try:
        connection.request("GET", "/health", headers={"X-Forwarded-For": client} if client else {})
        port: int = json.loads(connection.getresponse().read())["http"]["port"]
        return port
    finally:
        connection.close()


def connected(server: StatusServer) -> int:
    """Return how many Socket.IO clients the server has."""
    total: int = get_json(server.http_port, "/health").body["clients"]["total"]
    return total


class Client:
    """A Socket.IO client with an address of its own."""

    def __init__(self, scale: Stack, address: str, transport: str) -> None:
        self.welcomed = threading.Event()
        self.completed: list[tuple[int, str]] = []  # by number, since the library handles each event on a thread
        session = requests.Session()
        session.trust_env = False
        # The session's headers go with each request of polling, those given to connect with the first of all alone.
        session.headers["X-Forwarded-For"] = address
        headers = {"X-Forwarded-For": address}
        self.io = socketio.Client(http_session=session, reconnection=False)
        self.io.on("pipeline:status", self._status, namespace="/pipeline")
        self.io.on("pipeline:file_completed", self._completed, namespace="/pipeline")
        self.io.connect(scale.url, headers=headers, transports=[transport], namespaces=["/pipeline"], wait_timeout=60)
        assert self.io.transport() == transport

    def _status(self, body: dict[str, Any]) -> None:
        check_event("pipeline:status", body)
        if body["pipeline_id"] is not None:
            self.welcomed.set()

    def _completed(self, body: dict[str, Any]) -> None:
        self.completed.append((body["seq"], body["file"]["name"]))


def test_nginx_accepts_the_file_without_a_warning(scale: Stack) -> None:
    check(scale.config)


def test_each_client_stays_with_one_server_and_both_are_used(scale: Stack) -> None:
    served = {client: {server_of(scale, client) for _ in range(3)} for client in CLIENTS}
    assert {len(ports) for ports in served.values()} == {1}
    assert set.union(*served.values()) == {server.http_port for server in scale.servers}


def test_without_another_proxy_a_client_is_told_by_the_address_it_comes_from(scale: Stack) -> None:
    addresses = [f"127.0.0.{n}" for n in range(2, 22)]
    served = {address: {server_of(scale, address=address) for _ in range(3)} for address in addresses}
    assert {len(ports) for ports in served.values()} == {1}
    assert set.union(*served.values()) == {server.http_port for server in scale.servers}


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_events_pass_to_clients_of_both_servers(scale: Stack, transport: str) -> None:
    clients = [Client(scale, address, transport) for address in CLIENTS]
    try:
        for client in clients:
            assert client.welcomed.wait(60)
        wait_until(lambda: sum(map(connected, scale.servers)) == len(clients))
        assert all(map(connected, scale.servers))
        for n in range(20):
            scale.pipeline.complete_file(f"{n}.pdf")
        wait_until(lambda: all(len(client.completed) >= 20 for client in clients))
        for client in clients:
            assert [name for _, name in sorted(client.completed)] == [f"{n}.pdf" for n in range(20)]
    finally:
        for client in clients:
            client.io.disconnect()
    wait_until(lambda: not any(map(connected, scale.servers)))


def test_server_sent_events_come_while_the_stream_is_open(scale: Stack) -> None:
    headers = {"Accept": "text/event-stream"}
    with requests.get(f"{scale.url}/events", headers=headers, stream=True, timeout=60) as answer:
        lines = answer.iter_lines(chunk_size=1, decode_unicode=True)
        assert next(lines).startswith("retry:")
        for name in ("one.pdf", "two.pdf"):
            scale.pipeline.complete_file(name)
            assert any(f'"{name}"' in line for line in lines)


def test_a_page_of_the_proxys_own_origin_is_let_in_also_behind_tls(scale: Stack) -> None:
    handshake = f"{scale.url}/socket.io/?EIO=4&transport=polling"
    host = f"127.0.0.1:{scale.port}"

    def asked(origin: str, **forwarded: str) -> int:
        headers = {"Origin": origin, **{f"X-Forwarded-{key}": value for key, value in forwarded.items()}}
        return requests.get(handshake, headers=headers, timeout=60).status_code

    assert asked(f"http://{host}") == 200
    assert asked(f"https://{host}") >= 400
    assert asked(f"https://{host}", Proto="https") == 200
    assert asked("http://elsewhere.example") >= 400


def test_the_clients_of_a_server_that_is_gone_go_on_with_the_other(tmp_path: Path) -> None:
    with stack(tmp_path) as scale:
        one, two = scale.servers
        client = next(client for client in CLIENTS if server_of(scale, client) == one.http_port)
        one.stop()
        assert server_of(scale, client) == two.http_port
        again = Client(scale, client, "polling")
        assert again.welcomed.wait(60)
        again.io.disconnect()


def test_nginx_stops_within_seconds_whoever_is_connected(scale: Stack, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    one, two = ((server.http_port, server.socket_port) for server in scale.servers)
    config = configure(tmp_path, port, {"status-1": one, "status-2": two})
    with nginx(config, port, *OPTIONS) as process:
        client = Client(scale._replace(port=port), CLIENTS[0], "websocket")
        process.send_signal(signal.SIGQUIT)  # what the image is stopped with
        assert process.wait(25) == 0  # before compose loses its patience
        client.io.wait()
