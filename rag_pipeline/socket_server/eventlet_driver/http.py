"""HTTP on eventlet: accepts connections, reads requests strictly, and runs the WSGI application."""

from __future__ import annotations

import errno
import io
import logging
import os
import socket
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Any

from rag_pipeline.socket_server import peer, request_body
from rag_pipeline.socket_server.connections import Connections, Slot
from rag_pipeline.socket_server.eventlet_driver.imports import eventlet, wsgi
from rag_pipeline.socket_server.loop import ANSWER_HEADERS, CONNECTION, DetachedConnection, Environ, ServedApp
from rag_pipeline.socket_server.request_head import HeadError, check_first, read_head

logger = logging.getLogger("rag_pipeline.socket")

REQUEST_TIMEOUT_SECONDS = 8
KEEP_ALIVE_SECONDS = 60
WRITE_TIMEOUT_SECONDS = 20
LINGER_SECONDS = 1.0
LINGER_BYTES = 1 << 20
ACCEPT_RETRY_SECONDS = 0.05
ACCEPTED_A_TURN = 16
SHORTAGE_LOG_SECONDS = 60


class Acceptor:
    """Accepts connections as long as the server runs, also when descriptors run out for a while."""

    def __init__(
        self, listener: Any, app: ServedApp, connections: Connections, requests: Any, count_accepted: Callable[[], None]
    ) -> None:
        self._listener = listener
        self._count_accepted = count_accepted
        self._app = app
        self._connections = connections
        self._requests = requests
        self._shortage_logged_at = -float(SHORTAGE_LOG_SECONDS)
        self._server = wsgi.Server(
            listener,
            listener.getsockname(),
            app,
            keepalive=KEEP_ALIVE_SECONDS,
            log=logger,  # eventlet logs tracebacks of clients' mistakes, at a level that is not shown
            log_output=False,
            debug=False,
            socket_timeout=WRITE_TIMEOUT_SECONDS,
        )

    def run(self) -> None:
        """Accept until killed; after a few connections the loop serves others."""
        while True:
            try:
                for _ in range(ACCEPTED_A_TURN):
                    self._admit(*self._listener.accept())
                eventlet.sleep(0)
            except OSError as error:
                self._handle(error)

    def _admit(self, connection: Any, address: Any) -> None:
        self._count_accepted()
        slot = Slot(lambda: _shut_down(connection))
        if self._connections.admit(slot):
            self._requests.spawn_n(self._serve, connection, address, slot)
        else:
            _turn_away(connection)

    def _handle(self, error: OSError) -> None:
        """If descriptors or memory ran out, log it once, close an idle connection and wait a little."""
        if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
            return  # the client has left already
        now = monotonic()
        if now - self._shortage_logged_at >= SHORTAGE_LOG_SECONDS:
            logger.error("a connection could not be accepted: %s; idle ones are closed to make room", error.strerror)
        self._shortage_logged_at = now
        self._connections.end_oldest()
        eventlet.sleep(ACCEPT_RETRY_SECONDS)

    def _serve(self, connection: Any, address: Any, slot: Slot) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(WRITE_TIMEOUT_SECONDS)
            _HttpProtocol([address, connection, wsgi.STATE_IDLE], self._server, self._app, self._connections, slot)
        except (TimeoutError, OSError) as error:
            logger.debug("connection from %s ended: %s", address, error)
        except Exception:
            logger.exception("a request from %s failed", address)
        finally:
            connection.close()
            if not slot.detached:
                self._connections.forget(slot)


def _shut_down(connection: Any) -> None:
    """Shut the connection down, so that the greenlet that waits on it wakes up and closes it."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:  # it has ended already
        pass


def _turn_away(connection: Any) -> None:
    """Answer 503 without waiting."""
    native_socket = connection.fd
    try:
        native_socket.setblocking(False)
        native_socket.send(_error_answer("503 Service Unavailable", "too many connections; try again in a second"))
        native_socket.shutdown(socket.SHUT_WR)
        native_socket.recv(1 << 16)  # closing with unread bytes would be a reset
    except OSError:
        pass
    finally:
        connection.close()


def _error_answer(status: str, message: str) -> bytes:
    """Return a whole HTTP answer that closes the connection."""
    text = b'{"code":3,"message":"%b"}' % message.encode()
    headers = "".join(f"{name}: {value}\r\n" for name, value in ANSWER_HEADERS).encode()
    return b"HTTP/1.1 %b\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%b\r\n%b" % (
        status.encode(),
        len(text),
        headers,
        text,
    )


class _HttpProtocol(wsgi.HttpProtocol):  # type: ignore[misc]  # eventlet has no types
    """HTTP on one connection, which a WebSocket may take over."""

    rfile: Any
    detached = False
    lost = False
    """Whether the peer left before it had received everything; set at the end."""
    unread = False
    """Whether the request's body was not read, so that the connection can't be used again."""

    def __init__(self, state: list[Any], server: Any, app: ServedApp, connections: Connections, slot: Slot) -> None:
        self.app = app
        self.connections = connections
        self.slot = slot
        self._first = True
        super().__init__(state, server)

    def handle_one_request(self) -> None:
        """Read and answer one request; eventlet's own method is not strict enough."""
        try:
            if not self._read():
                self.close_connection = True
                return
        except HeadError as error:
            self._refuse(error.status, error.message)
            return
        self.conn_state[2] = wsgi.STATE_REQUEST
        self.environ = self.get_environ()
        if "HTTP_UPGRADE" in self.environ and not self._take_websocket_slot():
            self._refuse("503 Service Unavailable", "too many WebSockets; try again in a second")
            return
        if not self.slot.group:
            raise OSError("the connection was closed to make room for others")
        self.application = self.server.app
        self.handle_one_response()
        if not self.detached:
            self.connections.mark_waiting(self.slot)

    def _take_websocket_slot(self) -> bool:
        take = self.connections.mark_websocket
        return take(self.slot) or (self.app.make_room() and take(self.slot))

    def _read(self) -> bool:
        """Read the head of the next request; False if none came."""
        if not self._first:
            eventlet.sleep(0)  # a client that pipelines requests gets one answer a turn
            with eventlet.Timeout(KEEP_ALIVE_SECONDS, TimeoutError("no request came")):
                if not self.rfile.peek(1):
                    return False
        self._first = False
        # One deadline for the whole head: the socket's own timeout starts again with each byte of a slow client.
        with eventlet.Timeout(REQUEST_TIMEOUT_SECONDS, TimeoutError("the request took too long")):
            first = self.rfile.peek(1)[:1]
            if not first:
                return False
            check_first(first)
            head = read_head(self.rfile.readline)
        self.connections.mark_answering(self.slot)
        return head is not None and self._parse(head.line, head.fields)

    def _parse(self, line: bytes, fields: bytes) -> bool:
        source, self.rfile = self.rfile, io.BytesIO(fields)
        self.raw_requestline = line
        try:
            parsed: bool = self.parse_request()
        finally:
            self.rfile = source
        return parsed

    def _refuse(self, status: str, message: str) -> None:
        """Answer with an error; the connection can't be used again."""
        self.close_connection = self.unread = True
        self.wfile.write(_error_answer(status, message))

    def get_environ(self) -> Environ:
        """Return the request's environ, with its connection."""
        environ: Environ = super().get_environ()
        environ[CONNECTION] = _EventletConnection(self, environ)
        return environ

    def detach(self) -> DetachedConnection:
        """Return a copy of the descriptor, and leave the connection to the caller."""
        descriptor = os.dup(self.connection.fileno())
        self.detached = self.slot.detached = True
        self.close_connection = True
        wsgi.WSGI_LOCAL.already_handled = True
        return DetachedConnection(descriptor, partial(self.connections.forget, self.slot))

    def finish(self) -> None:
        """Close the connection, unless it was detached."""
        self.lost = peer.has_lost(self.connection.fd)
        try:
            if not self.detached:
                if self.unread:
                    self._linger()
                super().finish()
            else:  # the inherited method would shut down the connection, and with it the copy of the descriptor
                self.wfile.close()
        except OSError:
            pass
        finally:
            # Both files hold the descriptor; a failure of the first must not leave the second open.
            self.rfile.close()

    def _linger(self) -> None:
        """Read and drop data for a moment: closing with unread data is a reset, which can destroy the answer."""
        with eventlet.Timeout(LINGER_SECONDS, False):
            try:
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_WR)
                for _ in range(LINGER_BYTES >> 14):
                    if not self.connection.recv(1 << 14):
                        return
            except OSError:
                pass

    def address_string(self) -> str:
        """Return the client's address; its name is not looked up."""
        return str(self.client_address[0])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the inherited name
        """Log to this package's logger."""
        logger.debug(format, *args)


class _EventletConnection:
    """The connection of a request; see :class:`~rag_pipeline.socket_server.loop.HttpConnection`."""

    __slots__ = ("_close_after_answer", "_environ", "_protocol", "_socket")

    def __init__(self, protocol: _HttpProtocol, environ: Environ) -> None:
        self._protocol = protocol
        self._socket = protocol.connection.fd
        self._environ = environ
        self._close_after_answer = protocol.close_connection
        if environ["wsgi.input"].chunked_input or int(environ.get("CONTENT_LENGTH", "0")):
            protocol.close_connection = protocol.unread = True

    @property
    def gone(self) -> bool:
        return peer.is_gone(self._socket)

    @property
    def lost(self) -> bool:
        return self._protocol.lost if self._socket.fileno() < 0 else peer.has_lost(self._socket)

    def read_body(self, limit: int) -> bytes:
        source = self._environ["wsgi.input"]
        timed_out = request_body.BodyError("408 Request Timeout", "the body took too long")
        self._protocol.connections.mark_waiting(self._protocol.slot)
        with eventlet.Timeout(REQUEST_TIMEOUT_SECONDS, timed_out):
            try:
                data = _read_chunked(source, limit) if source.chunked_input else _read_counted(source, limit)
            except OSError as error:
                raise request_body.BodyError(request_body.BAD_REQUEST, "the body ended early") from error
        self._protocol.connections.mark_answering(self._protocol.slot)
        self._protocol.close_connection, self._protocol.unread = self._close_after_answer, False
        return data

    def detach(self) -> DetachedConnection:
        return self._protocol.detach()


def _read_counted(source: Any, limit: int) -> bytes:
    if source.content_length > limit:
        raise request_body.too_large(limit)
    return request_body.read_exactly(source.read, source.content_length)


def _read_chunked(source: Any, limit: int) -> bytes:
    # eventlet's own reader accepts lines of any length, and sizes that are not numbers.
    if source.should_send_hundred_continue:
        source.send_hundred_continue_response()
        source.is_hundred_continue_response_sent = True
    source.chunk_length = 0  # nothing is left for eventlet to discard
    return request_body.read_chunked(source.rfile.read, source.rfile.readline, limit)
