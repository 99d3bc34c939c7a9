"""The HTTP server: one native thread waits for all clients, and a bounded number of native threads answer.

A client costs a thread only while its request is worked on. Whatever depends on the client is done by the waiting
thread without blocking: to accept it, to read the headers of its request, to send what it takes slowly, and to see its
end. So clients that stall, trickle or do not read cost a descriptor and some memory, within bounds, and no thread.
"""

from __future__ import annotations

import _socket
import errno
import logging

# The C class behind queue.SimpleQueue: it waits natively in a patched host program too.
from _queue import Empty, SimpleQueue
from http import HTTPStatus
from time import monotonic, thread_time
from types import TracebackType
from typing import NamedTuple, Self

from rag_pipeline.common import descriptors, native
from rag_pipeline.common.listener import HTTP_SETTINGS, open_listener
from rag_pipeline.errors import ServiceError
from rag_pipeline.http_server.answers import error_answer
from rag_pipeline.http_server.connection import DRAIN_BYTES, Connection
from rag_pipeline.http_server.cpu_budget import CpuBudget
from rag_pipeline.http_server.handler import Handler, Limits, Respond, render
from rag_pipeline.http_server.head import Stage
from rag_pipeline.http_server.streaming import OpenStreams
from rag_pipeline.http_server.waiting import WaitFor, WaitingClients
from rag_pipeline.http_server.workers import LEAVES, RequestWorkers

CLAIM_SECONDS = 2.0
"""How long a request waits for a thread, or for CPU time, before it is answered with 503."""
_TURN_SECONDS = 1.0
_ACCEPTS_A_TURN = 256
_GIVES_WAY_AT_ONCE = 32
_PAUSE_SECONDS = 0.02
_GUARANTEED_CONNECTIONS = 64
_STOP_GRACE_SECONDS = 0.5
_STOP_SECONDS = 1.5
_OUT_OF_DESCRIPTORS = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}

logger = logging.getLogger("rag_pipeline.http")


class _Return(NamedTuple):
    """A worker gives a connection back: answered, turned into a stream, or gone."""

    connection: Connection
    streams: bool = False
    gone: bool = False
    cpu_seconds: float = 0.0


class HttpServer:
    """Listens from the moment it is made; answers from :meth:`start` to :meth:`stop`.

    Raises :class:`PortInUseError` or :class:`ConfigurationError` in the caller's thread when it can't listen.
    ``address`` and ``port`` are where it is bound. Over the bound of waiting clients those that were waited for the
    longest are closed; a request that no thread is free for within two seconds gets a 503.
    """

    def __init__(self, host: str, port: int, *, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._listener = open_listener(host, port, settings=HTTP_SETTINGS)
        self._listener.setblocking(False)
        self.host = host
        self.address: str = self._listener.address[0]
        self.port: int = self._listener.address[1]
        self._wake = native.WakeUp()
        self._thread: native.NativeThread | None = None
        self._stopping = False
        self._stop_lock = native.RLock()
        self._streams = OpenStreams(self._limits.streams)
        self._returned: SimpleQueue[_Return] = SimpleQueue()
        self._lock = native.allocate_lock()  # protects the flag: once it is up no one takes connections back
        self._ended = False
        # All that follows belongs to the waiting thread.
        self._open: dict[int, Connection] = {}
        self._with_streams: set[Connection] = set()
        quarter = max(16, descriptors.soft_limit() // 4)
        self._most_waiting = min(self._limits.waiting, quarter)
        self._most_queued = min(self._limits.queued, quarter)
        self._share = descriptors.connections.share(guaranteed=_GUARANTEED_CONNECTIONS)
        self._waiting: WaitingClients[Connection] = WaitingClients(
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
        self._pool: RequestWorkers[Connection] = RequestWorkers(
            self._work, self._limits.threads, "rag-pipeline-http-worker", budget
        )

    @property
    def running(self) -> bool:
        """Whether the waiting thread is at work."""
        return self._thread is not None and not self._thread.join(0)

    def start(self, respond: Respond) -> None:
        """Answer every request with what ``respond`` returns; it is called by several threads at once."""
        if self._thread is not None or self._stopping:
            raise ServiceError("an HTTP server can be started once")
        self._handler = Handler(respond, self._limits, self._streams, lambda: self._stopping)
        self._thread = native.start_thread(self._run, "rag-pipeline-http")

    def stop(self) -> None:
        """Stop within two seconds; idempotent.

        1. No client is accepted any more, and the port is free. 2. Idle connections and streams end; answers under way
        have half a second to go out. 3. What is left is cut. A handler that is stuck in ``respond`` is left behind.
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

    # -- a worker's thread ---------------------------------------------------------------------------------------------

    def _work(self, connection: Connection) -> object:
        """Answer one request; on a thread that has become a stream's, return that it leaves."""
        stream = None
        gone = True
        began = thread_time()
        try:
            stream = self._handler.answer(connection)
            gone = False
            if stream is not None:
                self._give_back(_Return(connection, streams=True))
                gone = True
                self._handler.carry(connection, stream)
                gone = False
        except OSError as error:
            logger.debug("a client is gone: %s", error)
        except Exception:
            logger.exception("a client's connection ended by a fault of the server")
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
        if self._pool.waiting:  # each of them has a deadline too
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
        self._take_back()
        for connection, kind in self._waiting.expired():
            self._give_up(connection, kind)
        self._pool.hand_out()
        self._refuse_late_ones()

    def _accept_clients(self) -> None:
        for _ in range(_ACCEPTS_A_TURN):
            try:
                fd = native.accept_nowait(self._listener.fileno())
            except OSError as error:
                logger.debug("accepting a client failed: %s", error)
                if error.errno in _OUT_OF_DESCRIPTORS:
                    self._make_way(_GIVES_WAY_AT_ONCE)
                    self._poll.unregister(self._listener.fileno())
                    self._accepts_at = monotonic() + _PAUSE_SECONDS
                    return
                continue
            if fd is None:
                return
            if len(self._waiting) >= self._most_waiting:
                self._make_way(1 + len(self._waiting) - self._most_waiting)
            sock = _socket.socket(fileno=fd)
            if not self._take_descriptor():
                sock.close()
                continue
            try:
                connection = Connection(sock, self._limits.request_bytes)
            except OSError as error:  # it has gone already
                logger.debug("a client is gone: %s", error)
                self._share.give_back()
                continue
            self._open[fd] = connection
            self._wait(connection, WaitFor.BEGIN)
            self._serve(connection)

    def _take_descriptor(self) -> bool:
        """Count one more connection; one that waits makes room if both ports together have all they may have."""
        if self._share.take():
            return True
        self._make_way(1)
        return self._share.take()

    def _accept_again(self) -> None:
        if monotonic() >= self._accepts_at:
            self._accepts_at = 0.0
            self._poll.register(self._listener.fileno(), native.POLL_READ)

    def _make_way(self, count: int) -> None:
        """Close the clients that were waited for the longest."""
        for connection in self._waiting.oldest(count):
            self._close(connection)

    def _wait(self, connection: Connection, kind: WaitFor) -> None:
        self._poll.register(connection.fd, native.POLL_WRITE if kind is WaitFor.READ else native.POLL_READ)
        self._waiting.wait(connection, kind)

    def _serve(self, connection: Connection) -> None:
        """Do what the client is ready for."""
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

    def _read_more(self, connection: Connection) -> None:
        data = connection.receive()
        if data is None:
            return
        head = connection.head
        if data:
            head.feed(data)
        elif head.begun:
            head.stage = head.stage or Stage.CUT
        else:
            self._end(connection)
            return
        if head.stage is not None:
            self._answer(connection)
        elif head.begun and self._waiting.kind_of(connection) is WaitFor.BEGIN:
            self._waiting.wait(connection, WaitFor.HEAD)

    def _answer(self, connection: Connection) -> None:
        """Have the request answered by a worker; too many of them are refused at once."""
        # A client's further requests have half of the room, so that pipelined ones leave some to newcomers.
        room = self._most_queued if connection.requests == 0 else self._most_queued // 2
        if len(self._pool.waiting) >= room:
            self._refuse(connection)
            return
        self._stop_waiting(connection)
        self._pool.give(connection, monotonic())

    def _send_more(self, connection: Connection) -> None:
        before = len(connection.rest)
        connection.go_on_sending()
        self._unread_bytes -= before - len(connection.rest)
        if not connection.rest:
            self._stop_waiting(connection)
            self._go_on(connection)

    def _drain(self, connection: Connection) -> None:
        """Drop what the client sends after the end, for a bounded while: see :meth:`Connection.say_end`."""
        data = connection.receive()
        if data is not None:
            connection.drained += len(data)
            if not data or connection.drained > DRAIN_BYTES:
                self._close(connection)

    def _take_back(self) -> None:
        while True:
            try:
                connection, streams, gone, cpu_seconds = self._returned.get_nowait()
            except Empty:
                return
            if streams:
                self._with_streams.add(connection)
                self._pool.leave_one(connection)
                if self._stopping:
                    connection.end_reading()
                continue
            if connection in self._with_streams:
                self._with_streams.discard(connection)
            else:
                self._pool.free_one(connection, cpu_seconds)
            if gone:
                self._close(connection)
            else:
                self._go_on(connection)

    def _go_on(self, connection: Connection) -> None:
        """Wait for what comes after an answer: that the client takes the rest of it, its next request, or its end."""
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
                self._answer(connection)
            elif connection.head.begun:
                self._waiting.wait(connection, WaitFor.HEAD)

    def _largest_unread(self) -> Connection:
        return max(self._open.values(), key=lambda connection: len(connection.rest))

    def _end(self, connection: Connection) -> None:
        """Say the end, and see that of the client."""
        self._stop_waiting(connection)
        connection.say_end()
        self._wait(connection, WaitFor.END)
        self._serve(connection)

    def _give_up(self, connection: Connection, kind: WaitFor) -> None:
        """The client's time is over."""
        if kind is WaitFor.HEAD:
            connection.head.stage = Stage.TOO_SLOW
            self._answer(connection)
        elif kind is WaitFor.BEGIN:
            self._end(connection)
        else:
            self._close(connection)

    def _refuse_late_ones(self) -> None:
        waiting = self._pool.waiting
        while waiting and monotonic() - waiting[0][1] > CLAIM_SECONDS:
            connection, _ = waiting.popleft()
            self._refuse(connection)

    def _refuse(self, connection: Connection) -> None:
        """Answer 503 without waiting for anything."""
        answer = error_answer(HTTPStatus.SERVICE_UNAVAILABLE, "too many clients at once; try again in a second")
        try:
            connection.begin_sending(render(answer, close=True))
        except OSError:
            self._close(connection)
            return
        connection.rest = memoryview(b"")
        self._end(connection)

    def _stop_waiting(self, connection: Connection) -> None:
        if connection in self._waiting:
            self._waiting.forget(connection)
            self._poll.unregister(connection.fd)

    def _close(self, connection: Connection) -> None:
        if self._waiting.kind_of(connection) is WaitFor.READ:
            self._unread_bytes -= len(connection.rest)
        self._stop_waiting(connection)
        if self._open.pop(connection.fd, None) is not None:
            self._share.give_back()
        connection.close()

    # -- the end -------------------------------------------------------------------------------------------------------

    def _end_all(self) -> None:
        """Do what :meth:`stop` says, in its order."""
        if not self._accepts_at:
            self._poll.unregister(self._listener.fileno())
        self._accepts_at = 0.0
        self._listener.close()
        began = monotonic()
        for connection in self._waiting.oldest(len(self._waiting)):
            if self._waiting.kind_of(connection) in (WaitFor.BEGIN, WaitFor.HEAD):
                self._serve(connection)  # it may have sent all of a request by now
        for connection in self._waiting.oldest(len(self._waiting)):
            if self._waiting.kind_of(connection) is not WaitFor.READ:
                self._close(connection)
        for connection in list(self._with_streams):
            connection.end_reading()
        self._wait_for_the_last(began + _STOP_GRACE_SECONDS)
        for connection in list(self._open.values()):
            connection.abort()
        self._wait_for_the_last(began + _STOP_SECONDS)
        with self._lock:
            self._ended = True
        self._take_back()
        for connection in self._waiting.oldest(len(self._waiting)):
            self._close(connection)

    def _wait_for_the_last(self, deadline: float) -> None:
        while self._open and (left := deadline - monotonic()) > 0:
            self._turn(min(left, self._waiting.seconds_left(_TURN_SECONDS)))
