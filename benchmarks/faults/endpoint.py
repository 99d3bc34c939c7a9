"""An OpenAI-compatible embeddings endpoint on loopback that fails in every way an endpoint can."""

from __future__ import annotations

import json
import random
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from benchmarks.faults.embeddings import Embeddings
from tests.sources.endpoint import DIMENSIONS, vector

PROBE = "probe"
"""The text that an embedder asks for to see whether an endpoint takes any."""
ERROR = b'{"error": {"message": "for the benchmark", "type": "server_error"}}'


class Fault(StrEnum):
    """The ways in which a request can fail."""

    UNAUTHORIZED = "401"
    FORBIDDEN = "403"
    NOT_FOUND = "404"
    TOO_LARGE = "413"
    TOO_MANY = "429"
    SERVER_ERROR = "500"
    ERROR_BODY = "200 with an error"
    NO_JSON = "200 with no JSON"
    CUT = "cut off"
    HANG = "hangs"
    REFUSED = "refuses connections"


class FaultyEndpoint:
    """The endpoint; a context manager. ``embeddings`` has what it delivered, ``waiting`` how many requests hang.

    ``doing`` says what goes on.
    """

    def __init__(self, chance: random.Random) -> None:
        self.doing: Callable[[], str] = lambda: ""
        self.embeddings = Embeddings()
        self.lock = threading.Lock()  # protects embeddings and waiting
        self.waiting = 0
        self.hits = 0
        self._chance = chance
        self._fault: Fault | None = None
        self._share = 1.0
        self._goes_on = threading.Event()
        self._server = self._listen(0)
        self._port = self._server.server_port
        self.env = {
            "EMBEDDING_API_URL": f"http://127.0.0.1:{self._port}/v1",
            "EMBEDDING_API_MODEL": "words",
            "EMBEDDING_API_DIMENSIONS": str(DIMENSIONS),
        }

    def fail(self, fault: Fault | None, share: float = 1.0) -> None:
        """From now on let so many of the requests fail this way; None: none."""
        if fault is Fault.REFUSED and self._fault is not fault:
            self._close()
        elif self._fault is Fault.REFUSED and fault is not self._fault:
            self._server = self._listen(self._port)
        self._fault, self._share = fault, share
        self._goes_on.set()
        self._goes_on = threading.Event()

    def __enter__(self) -> FaultyEndpoint:
        return self

    def __exit__(self, *_: object) -> None:
        self.fail(None)
        self._close()

    def _listen(self, port: int) -> ThreadingHTTPServer:
        server = _Server(("127.0.0.1", port), self._handler())
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return server

    def _close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            # A new connection for each request: a kept one would stay open after the endpoint is closed.
            protocol_version = "HTTP/1.0"

            def do_POST(self) -> None:
                owner._answer(self, json.loads(self.rfile.read(int(self.headers["Content-Length"])))["input"])

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        return Handler

    def _answer(self, request: BaseHTTPRequestHandler, texts: list[str]) -> None:
        fault = self._fault if self._fault is not None and self._chance.random() < self._share else None
        if fault is None:
            self._embed(request, texts)
            return
        with self.lock:
            self.hits += 1
        match fault:
            case Fault.HANG:
                self._hang()
                _reset(request)
            case Fault.CUT | Fault.REFUSED:
                _reset(request)
            case Fault.ERROR_BODY:
                _send(request, 200, ERROR)
            case Fault.NO_JSON:
                _send(request, 200, b"<html>a proxy's page")
            case _:
                _send(request, int(fault), ERROR, {"Retry-After": "0"} if fault is Fault.TOO_MANY else {})

    def _embed(self, request: BaseHTTPRequestHandler, texts: list[str]) -> None:
        data = [{"index": number, "embedding": vector(text)} for number, text in enumerate(texts)]
        counted = [text for text in texts if text != PROBE]
        with self.lock:
            self.embeddings.deliver(counted, self.doing())
        try:
            _send(request, 200, json.dumps({"data": data, "model": "words"}).encode())
        except OSError:  # a client that was killed
            with self.lock:
                self.embeddings.retract(counted)

    def _hang(self) -> None:
        goes_on = self._goes_on
        with self.lock:
            self.waiting += 1
        goes_on.wait(60)
        with self.lock:
            self.waiting -= 1


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that was killed."""


def _send(request: BaseHTTPRequestHandler, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
    request.send_response(status)
    for name, value in {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **(headers or {}),
    }.items():
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(body)


def _reset(request: BaseHTTPRequestHandler) -> None:
    request.close_connection = True
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.connection.close()
