"""A source with fixed contents, a running server, and a client that works on raw bytes."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from rag_pipeline.config import Settings
from rag_pipeline.http_server.answers import Health, answer
from rag_pipeline.http_server.handler import Limits, Respond
from rag_pipeline.http_server.page import Addresses
from rag_pipeline.http_server.server import HttpServer
from rag_pipeline.origins import OriginPolicy

DEADLINE_SECONDS = 20.0
STATE: Mapping[str, object] = {"pipeline_id": "local", "status": "idle", "files_completed": []}


class StubSource:
    """Knows one pipeline, ``local``."""

    def __init__(self, state: Mapping[str, object] = STATE, *, ok: bool = True) -> None:
        self.state = state
        self.ok = ok
        self.addresses = Addresses(http_port=8003, socket_port=8004)

    def status(self) -> Mapping[str, object]:
        return self.state

    def pipeline(self, pipeline_id: str) -> Mapping[str, object] | None:
        return self.state if pipeline_id == "local" else None

    def health(self) -> Health:
        return Health(self.ok, {"ok": self.ok})


@contextmanager
def serving(
    respond: Respond | None = None, *, limits: Limits | None = None, source: StubSource | None = None
) -> Iterator[HttpServer]:
    with HttpServer("127.0.0.1", 0, limits=limits) as server:
        policy = OriginPolicy(Settings(), server.port)
        server.start(respond or partial(answer, source=source or StubSource(), policy=policy))
        yield server


def connect(server: HttpServer) -> socket.socket:
    return socket.create_connection((server.host, server.port), timeout=DEADLINE_SECONDS)


def receive_all(client: socket.socket) -> bytes:
    """Return what comes until the server closes; a reset counts as closing."""
    received = b""
    try:
        while chunk := client.recv(65536):
            received += chunk
    except ConnectionError:
        pass
    return received


def exchange(server: HttpServer, data: bytes, *, end: bool = False) -> bytes:
    """Send raw bytes on a connection of their own and return what comes until the server closes."""
    with connect(server) as client:
        try:
            client.sendall(data)
            if end:
                client.shutdown(socket.SHUT_WR)
        except OSError:  # answered and closed before all was sent
            pass
        return receive_all(client)


def get(server: HttpServer, path: str = "/status", method: str = "GET", **headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close"]
    lines += (f"{name.replace('_', '-')}: {value}" for name, value in headers.items())
    return exchange(server, "\r\n".join([*lines, "", ""]).encode())


def split(answers: bytes) -> list[tuple[int, dict[str, str], bytes]]:
    """Return the answers to ``GET`` requests one by one, failing on anything that is not valid HTTP."""
    found = []
    while answers:
        head, blank, rest = answers.partition(b"\r\n\r\n")
        assert blank, answers
        first, *lines = head.decode("ascii").split("\r\n")
        version, status, _ = first.split(" ", 2)
        assert version == "HTTP/1.1"
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        length = int(headers.get("content-length", "0"))
        assert len(rest) >= length
        found.append((int(status), headers, rest[:length]))
        answers = rest[length:]
    return found


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)
