"""The eventlet driver: the only module that imports eventlet.

Nothing is monkey-patched. The loop lives on the thread that calls :meth:`EventletLoop.serve`; eventlet keeps one hub
per thread, so a host program's own use of eventlet on other threads is not touched.
"""

from __future__ import annotations

import _socket
import errno
import io
import logging
import os
import socket
import sys
import warnings
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Any

from rag_pipeline.descriptors import Share
from rag_pipeline.socket_server import body, peer
from rag_pipeline.socket_server.connections import Connections, Slot
from rag_pipeline.socket_server.head import HeadError, check_first, read_head
from rag_pipeline.socket_server.loop import ANSWER_HEADERS, CONNECTION, Cancellable, Detached, Environ, Site

# Submodules that the host program has: eventlet leaves copies of its own in their parents' attributes, http.server's
# above all, and the host's next `http.server.ThreadingHTTPServer` would be a green one that nobody drives.
_of_the_host = [
    (sys.modules[parent], child, module)
    for name, module in sys.modules.items()
    for parent, _, child in [name.rpartition(".")]
    if parent in sys.modules and getattr(sys.modules[parent], child, None) is module
]
with warnings.catch_warnings():
    # eventlet says at import that it is in maintenance: a matter for this module, not for users.
    warnings.simplefilter("ignore")
    import eventlet
    from eventlet import greenio, hubs, patcher, wsgi
for _parent, _child, _module in _of_the_host:
    setattr(_parent, _child, _module)
del _of_the_host
# It also warns whenever the host program forks, which is the host's business: nothing green runs on its threads.
warnings.filterwarnings("ignore", message=r"Using fork\(\)", category=DeprecationWarning)

logger = logging.getLogger("rag_pipeline.socket")

_native_socket = patcher.original("socket")

REQUEST_TIMEOUT_SECONDS = 8
KEEP_ALIVE_SECONDS = 60
WRITE_TIMEOUT_SECONDS = 20
LINGER_SECONDS = 1.0
LINGER_BYTES = 1 << 20
GOODBYE_SECONDS = 0.5
ACCEPT_RETRY_SECONDS = 0.05
ACCEPTED_A_TURN = 16
SHORTAGE_LOG_SECONDS = 60
MAX_REQUESTS_AT_ONCE = 20_000


class EventletLoop:
    """Drives the socket server on the calling thread's eventlet hub."""

    def __init__(self, share: Share) -> None:
        self.accepted = 0  # connections, since the start
        self._stopping: Any = None
        self._share = share

    def watch_read(self, fd: int, callback: Callable[[], None]) -> Cancellable:
        """Call back each time the descriptor can be read."""
        return _Watch("read", fd, callback)

    def watch_write(self, fd: int, callback: Callable[[], None]) -> Cancellable:
        """Call back each time the descriptor can be written."""
        return _Watch("write", fd, callback)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Cancellable:
        """Call back once after so many seconds."""
        timer: Cancellable = hubs.get_hub().schedule_call_global(seconds, _guard, callback)
        return timer

    def serve(self, listener: _socket.socket, site: Site, fd: int, drain: Callable[[], float | None]) -> None:
        """Serve until :meth:`stop`; see :class:`~rag_pipeline.socket_server.loop.Loop`."""
        hubs.use_hub("epolls" if hasattr(patcher.original("select"), "epoll") else None)
        self._stopping = eventlet.Event()
        green_listener = greenio.GreenSocket(_native_socket.socket(fileno=listener.detach()))
        requests = eventlet.GreenPool(MAX_REQUESTS_AT_ONCE)
        connections = Connections(self._share)
        acceptor = eventlet.spawn(_Acceptor(green_listener, site, connections, requests, self._count).run)
        pump = _Pump(self, fd, drain)
        try:
            self._stopping.wait()
        finally:
            _guard(site.finish)
            with eventlet.Timeout(GOODBYE_SECONDS, False):
                while site.lingering():
                    eventlet.sleep(GOODBYE_SECONDS / 50)
            acceptor.kill()
            green_listener.close()
            with eventlet.Timeout(GOODBYE_SECONDS, False):
                requests.waitall()
                while hubs.get_hub().get_writers():
                    eventlet.sleep(GOODBYE_SECONDS / 50)
            for request in list(requests.coroutines_running):
                eventlet.kill(request)
            _guard(site.abandon)
            pump.cancel()
            _guard(_end_hub)

    def _count(self) -> None:
        self.accepted += 1

    def stop(self) -> None:
        """End :meth:`serve`; called on the loop's thread."""
        if not self._stopping.ready():
            self._stopping.send(None)


def _end_hub() -> None:
    """Free the thread's hub: eventlet keeps it, with its descriptor, past the end of the thread."""
    hub = hubs.get_hub()
    hub.abort(wait=True)
    if hasattr(hub, "poll") and hasattr(hub.poll, "close"):
        hub.poll.close()


class _Watch:
    """A standing interest in a descriptor; eventlet's own listeners are taken away with this."""

    __slots__ = ("_callback", "_listener")

    def __init__(self, kind: str, fd: int, callback: Callable[[], None]) -> None:
        hub = hubs.get_hub()
        self._callback = callback
        self._listener = hub.add(
            hub.READ if kind == "read" else hub.WRITE, fd, self._fire, _ignore_closed, self._ignore_reuse
        )

    def _fire(self, _fd: int) -> None:
        # eventlet collects a round of callbacks before it makes them: an earlier one may have cancelled this one.
        if self._listener is not None:
            _guard(self._callback)

    def _ignore_reuse(self) -> None:
        """eventlet calls this when the descriptor's number came back; the owner has cancelled by then."""

    def cancel(self) -> None:
        """Take the interest back."""
        listener, self._listener = self._listener, None
        if listener is not None:
            hubs.get_hub().remove(listener)


def _ignore_closed(*_error: object) -> None:
    """eventlet throws here when a descriptor was closed under a listener; the owner cancels first."""


def _guard(callback: Callable[[], None]) -> None:
    # An exception that reached eventlet's hub would be printed and the descriptor dropped.
    try:
        callback()
    except Exception:
        logger.exception("a callback of the socket server failed")


class _Pump:
    """Calls ``drain`` whenever the hand-over was signalled or its time has come.

    It lives on the hub's callbacks, not in a greenlet: a greenlet that waits registers and unregisters its descriptor
    each time, and each of these system calls gives up the GIL, which a busy thread then keeps for 5 ms.
    """

    def __init__(self, loop: EventletLoop, fd: int, drain: Callable[[], float | None]) -> None:
        self._loop = loop
        self._drain = drain
        self._timer: Cancellable | None = None
        self._due = 0.0
        self._watch = loop.watch_read(fd, self._turn)
        _guard(self._turn)

    def _turn(self) -> None:
        wait: float | None = 1.0  # after a failure: try again, but do not spin
        try:
            wait = self._drain()
        finally:
            if wait is not None:
                self._wake_in(wait)

    def _wake_in(self, wait: float) -> None:
        # A timer that comes no later is kept, and asks anew: eventlet wakes up for a cancelled one all the same.
        due = monotonic() + wait
        if self._timer is None or due < self._due:
            self.cancel_timer()
            self._due = due
            self._timer = self._loop.call_later(wait, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self._turn()

    def cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def cancel(self) -> None:
        self._watch.cancel()
        self.cancel_timer()


class _Acceptor:
    """Accepts connections for as long as the server lives, also when descriptors run out for a while."""

    def __init__(
        self, listener: Any, site: Site, connections: Connections, requests: Any, count: Callable[[], None]
    ) -> None:
        self._listener = listener
        self._count = count
        self._site = site
        self._connections = connections
        self._requests = requests
        self._short_at = -float(SHORTAGE_LOG_SECONDS)
        self._server = wsgi.Server(
            listener,
            listener.getsockname(),
            site,
            keepalive=KEEP_ALIVE_SECONDS,
            log=logger,  # tracebacks of what is no error of ours, at a level that is not shown
            log_output=False,
            debug=False,
            socket_timeout=WRITE_TIMEOUT_SECONDS,
        )

    def run(self) -> None:
        """Accept until killed; between a few connections the loop gets to the others."""
        while True:
            try:
                for _ in range(ACCEPTED_A_TURN):
                    self._admit(*self._listener.accept())
                eventlet.sleep(0)
            except OSError as error:
                self._meet(error)

    def _admit(self, connection: Any, address: Any) -> None:
        self._count()
        slot = Slot(lambda: _shut_down(connection))
        if self._connections.admit(slot):
            self._requests.spawn_n(self._serve, connection, address, slot)
        else:
            _turn_away(connection)

    def _meet(self, error: OSError) -> None:
        """Wait a little, and free a descriptor if it is these that lack; said once for a shortage."""
        if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
            return  # the client is gone already
        now = monotonic()
        if now - self._short_at >= SHORTAGE_LOG_SECONDS:
            logger.error("a connection could not be accepted: %s; idle ones are closed to make room", error.strerror)
        self._short_at = now
        self._connections.end_oldest()
        eventlet.sleep(ACCEPT_RETRY_SECONDS)

    def _serve(self, connection: Any, address: Any, slot: Slot) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(WRITE_TIMEOUT_SECONDS)
            _Protocol([address, connection, wsgi.STATE_IDLE], self._server, self._site, self._connections, slot)
        except (TimeoutError, OSError) as error:
            logger.debug("connection from %s ended: %s", address, error)
        except Exception:
            logger.exception("a request from %s failed", address)
        finally:
            connection.close()
            if not slot.kept:
                self._connections.forget(slot)


def _shut_down(connection: Any) -> None:
    """Have the greenlet that waits on the connection see its end, and close it."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:  # it is gone already
        pass


def _turn_away(connection: Any) -> None:
    """Answer 503 without waiting for anything."""
    native_socket = connection.fd
    try:
        native_socket.setblocking(False)
        native_socket.send(_refusal("503 Service Unavailable", "too many connections; try again in a second"))
        native_socket.shutdown(socket.SHUT_WR)
        native_socket.recv(1 << 16)  # unread bytes would turn the close into a reset
    except OSError:
        pass
    finally:
        connection.close()


def _refusal(status: str, message: str) -> bytes:
    """Return a whole answer, after which the connection is closed."""
    text = b'{"code":3,"message":"%b"}' % message.encode()
    headers = "".join(f"{name}: {value}\r\n" for name, value in ANSWER_HEADERS).encode()
    return b"HTTP/1.1 %b\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%b\r\n%b" % (
        status.encode(),
        len(text),
        headers,
        text,
    )


class _Protocol(wsgi.HttpProtocol):  # type: ignore[misc]  # eventlet has no types
    """HTTP on one connection, which a WebSocket may take over."""

    rfile: Any
    detached = False
    lost = False
    """Whether the peer left without having received all that was written to it; set at the end."""
    unread = False
    """Whether the body of the request was not read, so that the connection can't be used any more."""

    def __init__(self, state: list[Any], server: Any, site: Site, connections: Connections, slot: Slot) -> None:
        self.site = site
        self.connections = connections
        self.slot = slot
        self._first = True
        super().__init__(state, server)

    def handle_one_request(self) -> None:
        """Read one request and answer it, in place of eventlet's own way, which is not strict enough."""
        try:
            if not self._read():
                self.close_connection = True
                return
        except HeadError as error:
            self._refuse(error.status, error.message)
            return
        self.conn_state[2] = wsgi.STATE_REQUEST
        self.environ = self.get_environ()
        if "HTTP_UPGRADE" in self.environ and not self._hold():
            self._refuse("503 Service Unavailable", "too many WebSockets; try again in a second")
            return
        if not self.slot.group:
            raise OSError("the connection was closed to make room for others")
        self.application = self.server.app
        self.handle_one_response()
        if not self.detached:
            self.connections.wait(self.slot)

    def _hold(self) -> bool:
        return self.connections.hold(self.slot) or (self.site.make_room() and self.connections.hold(self.slot))

    def _read(self) -> bool:
        """Read the head of the next request; False if none came."""
        if not self._first:
            eventlet.sleep(0)  # whoever has sent many requests at once gets one answer a turn
            with eventlet.Timeout(KEEP_ALIVE_SECONDS, TimeoutError("no request came")):
                if not self.rfile.peek(1):
                    return False
        self._first = False
        # One deadline for the whole: the sockets' own start anew with each byte of a client that trickles.
        with eventlet.Timeout(REQUEST_TIMEOUT_SECONDS, TimeoutError("the request took too long")):
            first = self.rfile.peek(1)[:1]
            if not first:
                return False
            check_first(first)
            head = read_head(self.rfile.readline)
        self.connections.answer(self.slot)
        return head is not None and self._parse(head.line, head.fields)

    def _parse(self, line: bytes, fields: bytes) -> bool:
        source, self.rfile = self.rfile, io.BytesIO(fields)
        self.raw_requestline = line
        try:
            whole: bool = self.parse_request()
        finally:
            self.rfile = source
        return whole

    def _refuse(self, status: str, message: str) -> None:
        """Answer a request that can't be served; the connection can't be used any more."""
        self.close_connection = self.unread = True
        self.wfile.write(_refusal(status, message))

    def get_environ(self) -> Environ:
        environ: Environ = super().get_environ()
        environ[CONNECTION] = _Connection(self, environ)
        return environ

    def detach(self) -> Detached:
        descriptor = os.dup(self.connection.fileno())
        self.detached = self.slot.kept = True
        self.close_connection = True
        wsgi.WSGI_LOCAL.already_handled = True
        return Detached(descriptor, partial(self.connections.forget, self.slot))

    def finish(self) -> None:
        self.lost = peer.has_lost(self.connection.fd)
        try:
            if not self.detached:
                if self.unread:
                    self._linger()
                super().finish()
            else:  # the inherited method would shut the connection down, and with it the copy of the descriptor
                self.wfile.close()
        except OSError:
            pass
        finally:
            # Each holds the descriptor, and the first one's failure leaves the other open.
            self.rfile.close()

    def _linger(self) -> None:
        """Drop what still comes for a moment: to close on unread bytes is a reset, which can take the answer away."""
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
        return str(self.client_address[0])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the inherited name
        logger.debug(format, *args)


class _Connection:
    """What a request needs of its connection; see :class:`~rag_pipeline.socket_server.loop.HttpConnection`."""

    __slots__ = ("_environ", "_keeps", "_protocol", "_socket")

    def __init__(self, protocol: _Protocol, environ: Environ) -> None:
        self._protocol = protocol
        self._socket = protocol.connection.fd
        self._environ = environ
        self._keeps = protocol.close_connection
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
        late = body.BodyError("408 Request Timeout", "the body took too long")
        self._protocol.connections.wait(self._protocol.slot)
        with eventlet.Timeout(REQUEST_TIMEOUT_SECONDS, late):
            try:
                data = _read_chunked(source, limit) if source.chunked_input else _read_counted(source, limit)
            except OSError as error:
                raise body.BodyError(body.BAD_REQUEST, "the body ended early") from error
        self._protocol.connections.answer(self._protocol.slot)
        self._protocol.close_connection, self._protocol.unread = self._keeps, False
        return data

    def detach(self) -> Detached:
        return self._protocol.detach()


def _read_counted(source: Any, limit: int) -> bytes:
    if source.content_length > limit:
        raise body.too_large(limit)
    return body.read_exactly(source.read, source.content_length)


def _read_chunked(source: Any, limit: int) -> bytes:
    # Not by eventlet's own reader, which takes lines of any length and sizes that are none.
    if source.should_send_hundred_continue:
        source.send_hundred_continue_response()
        source.is_hundred_continue_response_sent = True
    source.chunk_length = 0  # nothing is left for eventlet to discard
    return body.read_chunked(source.rfile.read, source.rfile.readline, limit)
