"""The HTTP server: one native thread waits for all clients, and a bounded pool of native threads responds.

A client occupies a worker only while its request is handled. The waiting thread does everything that depends on the
client's speed, without blocking: accept, read the headers, send the rest of a response, and notice the end. So clients
that stall, trickle or do not read cost a descriptor and some memory, within limits, and no thread.
"""

from __future__ import annotations

import _socket
import errno
import logging

# The C class behind queue.SimpleQueue: it stays native when the host program is monkey-patched.
from _queue import Empty, SimpleQueue
from http import HTTPStatus
from time import monotonic, thread_time
from types import TracebackType
from typing import NamedTuple, Self

from rag_pipeline.common import descriptors, native
from rag_pipeline.common.listener import HTTP_SETTINGS, open_listener
from rag_pipeline.errors import ServiceError
from rag_pipeline.http_server.connection import DRAIN_BYTES, ClientConnection
from rag_pipeline.http_server.cpu_budget import CpuBudget
from rag_pipeline.http_server.handler import RequestHandler, Respond, render
from rag_pipeline.http_server.limits import Limits
from rag_pipeline.http_server.messages import error_response
from rag_pipeline.http_server.request_head import HeadStage
from rag_pipeline.http_server.streaming import OpenStreams
from rag_pipeline.http_server.waiting import WaitFor, WaitingClients
from rag_pipeline.http_server.workers import LEAVES, RequestWorkers

QUEUED_SECONDS = 2.0
"""Seconds that a request waits for a thread or for CPU time before it gets a 503."""
_TURN_SECONDS = 1.0
_ACCEPTS_A_TURN = 256
_CLOSED_AT_ONCE = 32
_PAUSE_SECONDS = 0.02
_GUARANTEED_CONNECTIONS = 64
_STOP_GRACE_SECONDS = 0.5
_STOP_SECONDS = 1.5
_OUT_OF_DESCRIPTORS = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}

logger = logging.getLogger("rag_pipeline.http")


class _Return(NamedTuple):
    """A worker returns a connection: it has responded, has opened a stream, or the client is gone."""

    connection: ClientConnection
    streams: bool = False
    gone: bool = False
    cpu_seconds: float = 0.0


class HttpServer:
    """Listens from its construction on; responds from :meth:`start` to :meth:`stop`.

    The constructor raises :class:`PortInUseError` or :class:`ConfigurationError` if it can't listen. ``address`` and
    ``port`` are where it is bound. Over the limit of waiting clients, the longest waiting ones are closed; a request
    for which no thread is free within two seconds gets a 503.
    """

    def __init__(self, host: str, port: int, *, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._listener = open_listener(host, port, settings=HTTP_SETTINGS)
        self._listener.setblocking(False)
        self.host = host
        self.address: str = self._listener.address[0]
        self.port: int = self._listener.address[1]
        self._wake = native.WakeUpFd()
        self._thread: native.NativeThread | None = None
        self._stopping = False
        self._stop_lock = native.RLock()
        self._streams = OpenStreams(self._limits.streams)
        self._returned: SimpleQueue[_Return] = SimpleQueue()
        self._lock = native.allocate_lock()  # protects _ended: once it is set, no one takes connections back
        self._ended = False
        # Everything below belongs to the waiting thread.
        self._open: dict[int, ClientConnection] = {}
        self._with_streams: set[ClientConnection] = set()
        quarter = max(16, descriptors.soft_limit() // 4)
        self._most_waiting = min(self._limits.waiting, quarter)
        self._most_queued = min(self._limits.queued, quarter)
        self._share = descriptors.connections.share(guaranteed=_GUARANTEED_CONNECTIONS)
        self._waiting: WaitingClients[ClientConnection] = WaitingClients(
            {
                WaitFor.BEGIN: self._limits.idle_seconds,
                WaitFor.HEAD: self._limits.request_seconds,
                WaitFor.READ: self._limits.write_seconds,
                WaitFor.END: self._limits.linger_seconds,
            }
        )
        self._unread_bytes = 0
        self._accepts_at = 0.0
        self._poll = native.poll()
        budget = CpuBudget(self._limits.cpu_share, self._limits.cpu_burst_seconds)
        self._pool: RequestWorkers[ClientConnection] = RequestWorkers(
            self._work, self._limits.threads, "rag-pipeline-http-worker", budget
        )

    @property
    def running(self) -> bool:
        """Whether the waiting thread runs."""
        return self._thread is not None and not self._thread.join(0)

    def start(self, respond: Respond) -> None:
        """Respond to every request by calling ``respond``, on several threads at once."""
        if self._thread is not None or self._stopping:
            raise ServiceError("an HTTP server can be started only once")
        self._handler = RequestHandler(respond, self._limits, self._streams, lambda: self._stopping)
        self._thread = native.start_thread(self._run, "rag-pipeline-http")

    def stop(self) -> None:
        """Stop within two seconds; idempotent.

        1. The port is closed. 2. Idle connections and streams end; responses in progress have half a second to finish.
        3. The other connections are cut. A worker that is stuck in ``respond`` is left behind.
        """
        with self._stop_lock:
            if self._stopping:
                return
            self._stopping = True
            if self._thread is None:
                self._listener.close()
                self._wake.close()
                self._share.close()
                return
            self._wake.signal()
            self._thread.join(_STOP_SECONDS + _STOP_GRACE_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # -- worker threads ------------------------------------------------------------------------------------------------

    def _work(self, connection: ClientConnection) -> object:
        """Handle one request; return LEAVES if this thread has left the pool for a stream."""
        stream = None
        gone = True
        began = thread_time()
        try:
            stream = self._handler.handle(connection)
            gone = False
            if stream is not None:
                self._give_back(_Return(connection, streams=True))
                gone = True
                self._handler.send_stream(connection, stream)
                gone = False
        except OSError as error:
            logger.debug("a client is gone: %s", error)
        except Exception:
            logger.exception("a connection ended because of an error in the server")
        self._give_back(_Return(connection, gone=gone, cpu_seconds=thread_time() - began))
        return None if stream is None else LEAVES

    def _give_back(self, returned: _Return) -> None:
        with self._lock:
            if not self._ended:
                self._returned.put(returned)
            elif not returned.streams:
                returned.connection.close()
        self._wake.signal()

    # -- the waiting thread --------------------------------------------------------------------------------------------

    def _run(self) -> None:
        self._poll.register(self._wake.fd, native.POLL_READ)
        self._poll.register(self._listener.fileno(), native.POLL_READ)
        while not self._stopping:
            try:
                self._turn(self._waiting.seconds_left(_TURN_SECONDS))
            except Exception:
                logger.exception("the HTTP server's waiting thread failed")
                native.Future().wait(_PAUSE_SECONDS)
        try:
            self._end_all()
        finally:
            self._pool.end()
            self._wake.close()
            self._share.close()

    def _turn(self, seconds: float) -> None:
        if self._pool.waiting:  # queued requests have a deadline too
            seconds = min(seconds, _PAUSE_SECONDS)
        if self._accepts_at:
            seconds = min(seconds, _PAUSE_SECONDS)
            self._accept_again()
        for fd, _ in self._poll.poll(seconds * 1000):
            if fd == self._wake.fd:
                self._wake.clear()
            elif (connection := self._open.get(fd)) is not None:
                self._serve(connection)
            elif not self._stopping:
                self._accept_clients()
        self._collect_returned()
        for connection, kind in self._waiting.expired():
            self._time_out(connection, kind)
        self._pool.start_jobs()
        self._refuse_overdue()

    def _accept_clients(self) -> None:
        for _ in range(_ACCEPTS_A_TURN):
            try:
                fd = native.accept_nowait(self._listener.fileno())
            except OSError as error:
                logger.debug("accepting a client failed: %s", error)
                if error.errno in _OUT_OF_DESCRIPTORS:
                    self._close_oldest(_CLOSED_AT_ONCE)
                    self._poll.unregister(self._listener.fileno())
                    self._accepts_at = monotonic() + _PAUSE_SECONDS
                    return
                continue
            if fd is None:
                return
            if len(self._waiting) >= self._most_waiting:
                self._close_oldest(1 + len(self._waiting) - self._most_waiting)
            sock = _socket.socket(fileno=fd)
            if not self._take_descriptor():
                sock.close()
                continue
            try:
                connection = ClientConnection(sock, self._limits.request_bytes)
            except OSError as error:  # the client is gone already
                logger.debug("a client is gone: %s", error)
                self._share.give_back()
                continue
            self._open[fd] = connection
            self._wait(connection, WaitFor.BEGIN)
            self._serve(connection)

    def _take_descriptor(self) -> bool:
        """Reserve a descriptor; if both ports together use all they may, close the longest waiting client."""
        if self._share.take():
            return True
        self._close_oldest(1)
        return self._share.take()

    def _accept_again(self) -> None:
        if monotonic() >= self._accepts_at:
            self._accepts_at = 0.0
            self._poll.register(self._listener.fileno(), native.POLL_READ)

    def _close_oldest(self, count: int) -> None:
        """Close the longest waiting clients."""
        for connection in self._waiting.oldest(count):
            self._close(connection)

    def _wait(self, connection: ClientConnection, kind: WaitFor) -> None:
        self._poll.register(connection.fd, native.POLL_WRITE if kind is WaitFor.READ else native.POLL_READ)
        self._waiting.wait(connection, kind)

    def _serve(self, connection: ClientConnection) -> None:
        """Continue with a client that is ready."""
        kind = self._waiting.kind_of(connection)
        try:
            if kind is WaitFor.READ:
                self._send_more(connection)
            elif kind is WaitFor.END:
                self._drain(connection)
            elif kind is not None:
                self._read_more(connection)
        except OSError as error:
            logger.debug("a client is gone: %s", error)
            self._close(connection)

    def _read_more(self, connection: ClientConnection) -> None:
        data = connection.receive()
        if data is None:
            return
        head = connection.head
        if data:
            head.feed(data)
        elif head.begun:
            head.stage = head.stage or HeadStage.CUT
        else:
            self._end(connection)
            return
        if head.stage is not None:
            self._pass_to_worker(connection)
        elif head.begun and self._waiting.kind_of(connection) is WaitFor.BEGIN:
            self._waiting.wait(connection, WaitFor.HEAD)

    def _pass_to_worker(self, connection: ClientConnection) -> None:
        """Pass the request to a worker, or refuse it if too many are queued."""
        # Later requests of a connection may use half of the queue, so that pipelined ones leave room for newcomers.
        room = self._most_queued if connection.requests == 0 else self._most_queued // 2
        if len(self._pool.waiting) >= room:
            self._refuse(connection)
            return
        self._stop_waiting(connection)
        self._pool.add(connection, monotonic())

    def _send_more(self, connection: ClientConnection) -> None:
        before = len(connection.rest)
        connection.send_more()
        self._unread_bytes -= before - len(connection.rest)
        if not connection.rest:
            self._stop_waiting(connection)
            self._continue(connection)

    def _drain(self, connection: ClientConnection) -> None:
        """Drop what the client still sends, within limits: see :meth:`ClientConnection.shut_down_writing`."""
        data = connection.receive()
        if data is not None:
            connection.drained += len(data)
            if not data or connection.drained > DRAIN_BYTES:
                self._close(connection)

    def _collect_returned(self) -> None:
        while True:
            try:
                connection, streams, gone, cpu_seconds = self._returned.get_nowait()
            except Empty:
                return
            if streams:
                self._with_streams.add(connection)
                self._pool.thread_left(connection)
                if self._stopping:
                    connection.end_reading()
                continue
            if connection in self._with_streams:
                self._with_streams.discard(connection)
            else:
                self._pool.job_done(connection, cpu_seconds)
            if gone:
                self._close(connection)
            else:
                self._continue(connection)

    def _continue(self, connection: ClientConnection) -> None:
        """Wait for what follows a response: that the client reads the rest, sends a request, or closes."""
        if connection.rest:
            self._unread_bytes += len(connection.rest)
            self._wait(connection, WaitFor.READ)
            while self._unread_bytes > self._limits.unread_bytes:
                self._close(self._largest_unread())
        elif connection.closes or self._stopping:
            self._end(connection)
        else:
            self._wait(connection, WaitFor.BEGIN)
            if connection.head.stage is not None:
                self._pass_to_worker(connection)
            elif connection.head.begun:
                self._waiting.wait(connection, WaitFor.HEAD)

    def _largest_unread(self) -> ClientConnection:
        return max(self._open.values(), key=lambda connection: len(connection.rest))

    def _end(self, connection: ClientConnection) -> None:
        """Close our side, and wait for the client to close its side."""
        self._stop_waiting(connection)
        connection.shut_down_writing()
        self._wait(connection, WaitFor.END)
        self._serve(connection)

    def _time_out(self, connection: ClientConnection, kind: WaitFor) -> None:
        """Handle a client whose deadline has passed."""
        if kind is WaitFor.HEAD:
            connection.head.stage = HeadStage.TOO_SLOW
            self._pass_to_worker(connection)
        elif kind is WaitFor.BEGIN:
            self._end(connection)
        else:
            self._close(connection)

    def _refuse_overdue(self) -> None:
        waiting = self._pool.waiting
        while waiting and monotonic() - waiting[0][1] > QUEUED_SECONDS:
            connection, _ = waiting.popleft()
            self._refuse(connection)

    def _refuse(self, connection: ClientConnection) -> None:
        """Send a 503 without waiting."""
        response = error_response(HTTPStatus.SERVICE_UNAVAILABLE, "too many clients at once; try again in a second")
        try:
            connection.begin_sending(render(response, close=True))
        except OSError:
            self._close(connection)
            return
        connection.rest = memoryview(b"")
        self._end(connection)

    def _stop_waiting(self, connection: ClientConnection) -> None:
        if connection in self._waiting:
            self._waiting.forget(connection)
            self._poll.unregister(connection.fd)

    def _close(self, connection: ClientConnection) -> None:
        if self._waiting.kind_of(connection) is WaitFor.READ:
            self._unread_bytes -= len(connection.rest)
        self._stop_waiting(connection)
        if self._open.pop(connection.fd, None) is not None:
            self._share.give_back()
        connection.close()

    # -- stop ----------------------------------------------------------------------------------------------------------

    def _end_all(self) -> None:
        """Do the steps of :meth:`stop`."""
        if not self._accepts_at:
            self._poll.unregister(self._listener.fileno())
        self._accepts_at = 0.0
        self._listener.close()
        began = monotonic()
        for connection in self._waiting.oldest(len(self._waiting)):
            if self._waiting.kind_of(connection) in (WaitFor.BEGIN, WaitFor.HEAD):
                self._serve(connection)  # it may have sent a whole request by now
        for connection in self._waiting.oldest(len(self._waiting)):
            if self._waiting.kind_of(connection) is not WaitFor.READ:
                self._close(connection)
        for connection in list(self._with_streams):
            connection.end_reading()
        self._wait_until_closed(began + _STOP_GRACE_SECONDS)
        for connection in list(self._open.values()):
            connection.abort()
        self._wait_until_closed(began + _STOP_SECONDS)
        with self._lock:
            self._ended = True
        self._collect_returned()
        for connection in self._waiting.oldest(len(self._waiting)):
            self._close(connection)

    def _wait_until_closed(self, deadline: float) -> None:
        while self._open and (left := deadline - monotonic()) > 0:
            self._turn(min(left, self._waiting.seconds_left(_TURN_SECONDS)))
