"""The HTTP server: a native thread that accepts, and a bounded number of native threads that answer."""

from __future__ import annotations

import _socket
import logging

# The C class behind queue.SimpleQueue: it waits natively in a patched host program too.
from _queue import Empty, SimpleQueue
from collections.abc import Callable
from http import HTTPStatus
from time import monotonic
from types import TracebackType
from typing import Self

from rag_pipeline import native
from rag_pipeline.errors import ServiceError
from rag_pipeline.http_server.answers import error_answer
from rag_pipeline.http_server.connection import Connection
from rag_pipeline.http_server.handler import Limits, RequestHandler, Respond, render
from rag_pipeline.http_server.streaming import OpenStreams
from rag_pipeline.listener import HTTP_SETTINGS, open_listener

# When every handler is taken, a client that keeps its handler waiting this long gives way to the next one.
PATIENCE_SECONDS = 0.5
CLAIM_SECONDS = 2.0
_PAUSE_SECONDS = 0.02
_STOP_GRACE_SECONDS = 0.5
_STOP_SECONDS = 1.5

logger = logging.getLogger("rag_pipeline.http")


class HttpServer:
    """Listens from the moment it is made; answers from :meth:`start` to :meth:`stop`.

    Raises :class:`PortInUseError` or :class:`ConfigurationError` in the caller's thread when it can't listen.
    ``port`` is the port as bound. Clients beyond the limit of connections wait in the kernel's backlog; when all
    handlers are busy for two seconds, the next client gets a 503.
    """

    def __init__(self, host: str, port: int, *, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._listener = open_listener(host, port, settings=HTTP_SETTINGS)
        self.host = host
        self.port: int = self._listener.getsockname()[1]
        self._thread: native.NativeThread | None = None
        self._stopping = False
        self._stop_lock = native.RLock()
        # Guards the open connections; a socket is closed under it, so that no one ends a descriptor used anew.
        self._lock = native.allocate_lock()
        self._open: dict[Connection, native.NativeThread] = {}
        self._streams = OpenStreams(self._limits.streams)
        self._slots: SimpleQueue[None] = SimpleQueue()
        for _ in range(self._limits.connections):
            self._slots.put(None)

    @property
    def running(self) -> bool:
        """Whether the accepting thread is at work."""
        return self._thread is not None and not self._thread.join(0)

    def start(self, respond: Respond) -> None:
        """Answer every request with what ``respond`` returns; it is called by several threads at once."""
        if self._thread is not None or self._stopping:
            raise ServiceError("an HTTP server can be started once")
        self._respond = respond
        self._thread = native.start_thread(self._accept_clients, "rag-pipeline-http")

    def stop(self) -> None:
        """Stop within two seconds; idempotent.

        1. No client is accepted any more, and the port is free. 2. Idle connections and streams end; answers under way
        have half a second to go out. 3. What is left is cut. A handler that is stuck in ``respond`` is left behind.
        """
        with self._stop_lock:
            if self._stopping:
                return
            self._stopping = True
            self._close_listener()
            deadline = monotonic() + _STOP_SECONDS
            self._end_connections(Connection.end_reading, monotonic() + _STOP_GRACE_SECONDS)
            self._end_connections(Connection.abort, deadline)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _close_listener(self) -> None:
        try:
            self._listener.shutdown(_socket.SHUT_RDWR)  # wakes the accepting thread, which closing would not
        except OSError:
            pass
        if self._thread is not None:
            self._thread.join(_STOP_GRACE_SECONDS)
        self._listener.close()

    def _end_connections(self, end: Callable[[Connection], None], deadline: float) -> None:
        with self._lock:
            handlers = list(self._open.values())
            for connection in self._open:
                end(connection)
        for handler in handlers:
            handler.join(deadline - monotonic())

    def _accept_clients(self) -> None:
        pause = native.allocate_lock()  # time.sleep may be green
        pause.acquire()
        while not self._stopping:
            try:
                descriptor = self._accept()
            except OSError as error:
                if not self._stopping:  # a client that is gone already, or no descriptor left: others will be closed
                    logger.debug("accepting a client failed: %s", error)
                    self._make_way()
                    pause.acquire(timeout=_PAUSE_SECONDS)
                continue
            self._admit(_socket.socket(fileno=descriptor))

    def _accept(self) -> int:
        descriptor, _ = self._listener._accept()  # type: ignore[attr-defined]  # what socket.socket.accept calls
        return int(descriptor)

    def _admit(self, sock: _socket.socket) -> None:
        """Hand the client to a handler thread, or refuse it."""
        if not self._claim_slot():
            _refuse(sock)
            return
        connection = Connection(sock)
        try:
            with self._lock:
                self._open[connection] = native.start_thread(
                    lambda: self._handle(connection), "rag-pipeline-http-client"
                )
        except RuntimeError as error:  # the system gives no more threads
            logger.warning("a client was turned away: %s", error)
            self._slots.put(None)
            _refuse(sock)

    def _handle(self, connection: Connection) -> None:
        def streaming() -> None:  # the next client may be answered meanwhile
            self._slots.put(None)

        try:
            RequestHandler(connection, self._respond, self._limits, self._streams, streaming).serve(
                lambda: self._stopping
            )
        except OSError as error:
            logger.debug("a client is gone: %s", error)
        except Exception:
            logger.exception("a client's connection ended by a fault of the server")
        finally:
            with self._lock:
                del self._open[connection]
                connection.close()
            if not connection.streams:
                self._slots.put(None)

    def _claim_slot(self) -> bool:
        deadline = monotonic() + CLAIM_SECONDS
        while not self._stopping:
            try:
                self._slots.get(timeout=_PAUSE_SECONDS)
            except Empty:
                if monotonic() > deadline:
                    return False
                self._make_way()
            else:
                return True
        return False

    def _make_way(self) -> None:
        """End the wait for the client that has kept its handler waiting the longest, if that is long enough."""
        with self._lock:
            waiting = [(since, c) for c in self._open if (since := c.waiting_since) is not None and not c.streams]
            since, connection = min(waiting, key=lambda pair: pair[0], default=(monotonic(), None))
            if connection is not None and monotonic() - since >= PATIENCE_SECONDS:
                connection.give_way()


def _refuse(sock: _socket.socket) -> None:
    """Answer 503 without waiting for anything."""
    answer = error_answer(HTTPStatus.SERVICE_UNAVAILABLE, "too many clients at once; try again in a second")
    try:
        sock.setblocking(False)
        sock.send(render(answer, close=True))
        sock.shutdown(_socket.SHUT_WR)
        sock.recv(64 * 1024)  # unread bytes would turn the close into a reset
    except OSError:
        pass
    finally:
        sock.close()
