"""One timer for all clients: their pings, and the turns in which polling clients get their packets."""

from __future__ import annotations

import itertools
import time
from collections import deque
from typing import TYPE_CHECKING
from weakref import ref

from engineio import packet as eio_packet

from rag_pipeline.socket_server.loop import Cancellable

if TYPE_CHECKING:
    from rag_pipeline.socket_server.engine import EngineServer
    from rag_pipeline.socket_server.session import EngineSocket

MAX_SPACING_SECONDS = 0.5
POLLS_A_TURN = 4


class Polls:
    """Gives polling clients their packets a few at a time, so that the loop gets to the others in between.

    Each answer to a poll costs the loop 0.2 ms of HTTP: two hundred at once would hold everyone else up for 40 ms.
    """

    def __init__(self, server: EngineServer) -> None:
        self._server = server
        self._ready: dict[EngineSocket, None] = {}
        self._timer: Cancellable | None = None

    def schedule(self, socket: EngineSocket) -> None:
        """Let the client have its packets when its turn comes."""
        self._ready[socket] = None
        if self._timer is None:
            self._timer = self._server.loop.call_later(0, self._turn)

    def _turn(self) -> None:
        self._timer = self._server.loop.call_later(0, self._turn) if len(self._ready) > POLLS_A_TURN else None
        for socket in list(itertools.islice(self._ready, POLLS_A_TURN)):
            del self._ready[socket]
            socket.release()


class Pings:
    """Pings every client in turn, and ends those that do not answer.

    Every client waits the same time, so two queues in the order of their entries are in the order of their dues. The
    timer is set for the first of them, and a turn takes those that are due within a short time together.
    """

    def __init__(self, server: EngineServer) -> None:
        self._server = server
        self._spacing = min(MAX_SPACING_SECONDS, server.ping_interval / 300)
        # Weak, so that a storm of clients that come and go is not held until their pings are due.
        self._to_ping: deque[tuple[float, ref[EngineSocket]]] = deque()
        self._to_answer: deque[tuple[float, ref[EngineSocket], float]] = deque()
        self._timer: Cancellable | None = None
        self._timer_due = 0.0

    def schedule(self, socket: EngineSocket) -> None:
        """Ping the client one interval from now."""
        self._to_ping.append((time.monotonic() + self._server.ping_interval, ref(socket)))
        self._set_timer()

    def _set_timer(self) -> None:
        dues = [queue[0][0] for queue in (self._to_ping, self._to_answer) if queue]
        if not dues or (self._timer is not None and self._timer_due <= min(dues)):
            return
        if self._timer is not None:
            self._timer.cancel()
        now = time.monotonic()
        self._timer_due = max(min(dues), now + self._spacing)
        self._timer = self._server.loop.call_later(self._timer_due - now, self._turn)

    def _turn(self) -> None:
        self._timer = None
        now = time.monotonic()
        try:
            self._ping(now)
            self._end_silent(now)
        finally:
            self._set_timer()

    def _ping(self, now: float) -> None:
        timeout = self._server.ping_timeout
        while self._to_ping and self._to_ping[0][0] <= now:
            due, to_ping = self._to_ping.popleft()
            socket = to_ping()
            if socket is not None and not socket.closed and not socket.closing:
                socket.last_ping = time.time()
                # A turn that comes a little late is not added to the time after which a client counts as gone.
                self._to_answer.append((max(due, now - timeout / 10) + timeout, to_ping, socket.last_ping))
                socket.send(eio_packet.Packet(eio_packet.PING))

    def _end_silent(self, now: float) -> None:
        while self._to_answer and self._to_answer[0][0] <= now:
            _, asked_socket, asked = self._to_answer.popleft()
            socket = asked_socket()
            if socket is not None and socket.last_ping == asked and not socket.closed:
                socket.close(reason=self._server.reason.PING_TIMEOUT)
