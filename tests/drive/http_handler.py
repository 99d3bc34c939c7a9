"""The HTTP server: keep-alive connections, and the faults that a connection can have."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple, Protocol

from tests.drive.faults import Fault
from tests.drive.request_log import LoggedRequest
from tests.drive.responses import HttpResponse, compressed

LONGEST_STALL_SECONDS = 120.0
SMALLEST_COMPRESSED_BYTES = 200
NO_FAULT = Fault("none")


class PlannedResponse(NamedTuple):
    """A request with its response, and the fault to apply to it."""

    request: LoggedRequest
    answer: HttpResponse
    fault: Fault
    stalled_until: threading.Event


class Service(Protocol):
    """Responds to requests."""

    closing: threading.Event

    def respond(self, verb: str, target: str, headers: Mapping[str, str], body: bytes) -> PlannedResponse:
        """Return the response to a request; header names are in lower case."""


class DriveHttpServer(ThreadingHTTPServer):
    """A server on a free loopback port, with a thread for each connection."""

    daemon_threads = False  # so that closing waits for them
    request_queue_size = 128

    def __init__(self, service: Service | None = None) -> None:
        self.service = service
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), DriveRequestHandler)

    def opened(self, connection: socket.socket) -> None:
        """Remember a connection, so that it can be closed."""
        with self._open_lock:
            self._open.add(connection)

    def closed(self, connection: socket.socket) -> None:
        """Forget a connection."""
        with self._open_lock:
            self._open.discard(connection)

    def end_connections(self) -> None:
        """Close all connections, idle ones included."""
        with self._open_lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # the other side was first

    def handle_error(self, request: object, client_address: object) -> None:
        """Log nothing if a client disconnects."""


class DriveRequestHandler(BaseHTTPRequestHandler):
    """Handles the requests of one connection, one after the other."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    server: DriveHttpServer

    def setup(self) -> None:
        """Remember the connection."""
        super().setup()
        self.server.opened(self.connection)

    def finish(self) -> None:
        """Forget the connection."""
        self.server.closed(self.connection)
        super().finish()

    def do_GET(self) -> None:
        """Handle one request of any verb."""
        self.close_connection = self.close_connection or self.command == "HEAD"
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        assert self.server.service is not None
        exchange = self.server.service.respond(self.command, self.path, headers, body)
        try:
            self._carry(exchange, headers)
        except OSError:
            self.close_connection = True

    do_POST = do_PATCH = do_PUT = do_DELETE = do_HEAD = do_GET  # noqa: N815 - the inherited names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the inherited name
        """Log nothing: the server has its own log."""

    def _carry(self, exchange: PlannedResponse, headers: Mapping[str, str]) -> None:
        answer, fault = exchange.answer, exchange.fault
        assert self.server.service is not None
        if fault.delay_seconds:
            self.server.service.closing.wait(fault.delay_seconds)
        if fault.cut_headers is not None:
            self.wfile.write(fault.cut_headers)
            return self._cut()
        if _is_worth_compressing(answer) and "gzip" in headers.get("accept-encoding", ""):
            answer = compressed(answer)
        answer.end -= min(fault.cut_off, answer.length)
        self._send_headers(answer)
        exchange.request.status = answer.status
        for piece in _spoilt(answer, fault):
            if piece is None:
                return self._cut()
            if not piece:
                self.wfile.flush()
                exchange.stalled_until.wait(LONGEST_STALL_SECONDS)
                continue
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if answer.chunked else piece)
            exchange.request.bytes_out += len(piece)
        if answer.chunked:
            self.wfile.write(b"0\r\n\r\n")
        return self.wfile.flush()

    def _send_headers(self, answer: HttpResponse) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(answer.length))
        self.end_headers()

    def _cut(self) -> None:
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


def _is_worth_compressing(answer: HttpResponse) -> bool:
    kind = answer.headers.get("Content-Type", "")
    return kind.startswith("application/json") and answer.length > SMALLEST_COMPRESSED_BYTES


def _spoilt(answer: HttpResponse, fault: Fault) -> Iterator[bytes | None]:
    """Yield the body with the fault applied: empty bytes are a stall, None ends the connection."""
    stops: dict[int, bytes | None] = {}
    if fault.stall_after is not None:
        stops[min(fault.stall_after, answer.length)] = b""
    if fault.cut_after is not None:
        stops[max(0, min(fault.cut_after, answer.length - 1))] = None
    sent = 0
    for piece in answer.pieces():
        data = piece
        if fault.corrupt and sent <= answer.length // 2 < sent + len(piece):
            at = answer.length // 2 - sent
            data = piece[:at] + bytes([piece[at] ^ 1]) + piece[at + 1 :]
        for stop in sorted(at for at in stops if sent <= at <= sent + len(data)):
            before = data[: stop - sent]
            if before:
                yield before
            data, sent = data[len(before) :], stop
            yield stops.pop(stop)
        if data:
            yield data
            sent += len(data)
    yield from stops.values()
