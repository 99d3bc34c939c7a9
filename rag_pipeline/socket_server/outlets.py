"""The two ways to a client: the direct one, and the library's own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from engineio import packet as eio_packet

from rag_pipeline.broadcast import Batch

if TYPE_CHECKING:
    from rag_pipeline.socket_server.session import EngineSocket

logger = logging.getLogger("rag_pipeline.socket")


class DirectOutlet:
    """Writes to a client through the hooks of :mod:`rag_pipeline.socket_server.engine`."""

    __slots__ = ("_socket", "send")

    def __init__(self, socket: EngineSocket, name: str) -> None:
        self._socket = socket
        self.send: Callable[[Batch], None]
        if socket.settled is not None:
            self.send = socket.settled.write_batch
        else:
            # The socket changes this once, when its WebSocket has settled: the hub then writes without a step between.
            self.send = socket.queue_batch
            socket.outlets[name] = self

    def send_paced(self, batch: Batch) -> None:
        """Send packets that don't count against the bound."""
        settled = self._socket.settled
        if settled is None:
            self._socket.queue_batch(batch, counts=False)
        else:
            settled.write_paced(batch.wire)

    @property
    def transport(self) -> str:
        """What it goes over."""
        return "polling" if self._socket.settled is None else "websocket"

    @property
    def backlog_bytes(self) -> int:
        """How much was sent that the client has not taken yet."""
        settled = self._socket.settled
        return self._socket.queued_bytes if settled is None else settled.backlog_bytes

    def disconnect(self, reason: str) -> None:
        """End the connection."""
        logger.warning("client %s is disconnected: %s", self._socket.sid, reason)
        self._socket.close(abort=True)


class LibraryOutlet:
    """Writes to a client through python-engineio's public calls alone."""

    __slots__ = ("_count_overflow", "_engine", "_limit", "_sent_bytes", "_sid")

    def __init__(self, engine: Any, sid: str, limit: int, count_overflow: Callable[[str, int], None]) -> None:
        self._engine = engine
        self._count_overflow = count_overflow
        self._sid = sid
        self._limit = limit
        self._sent_bytes = 0

    def send(self, batch: Batch) -> None:
        """Queue the packets; the library's writer sends them."""
        socket = self._engine.sockets.get(self._sid)
        if socket is None or socket.closed:
            return
        if socket.queue.empty():
            self._sent_bytes = 0
        for packet in batch.packets:
            self._engine.send_packet(self._sid, eio_packet.Packet(eio_packet.MESSAGE, packet.text))
        self._sent_bytes += len(batch.wire)
        if self._sent_bytes > self._limit and (waiting := self._waiting(socket, counted=True)) > self._limit:
            self._count_overflow(self._sid, waiting)
            self._end()

    def send_paced(self, batch: Batch) -> None:
        """Queue packets that don't count against the bound."""
        for packet in batch.packets:
            queued = eio_packet.Packet(eio_packet.MESSAGE, packet.text)
            queued.is_paced = True
            self._engine.send_packet(self._sid, queued)

    @property
    def transport(self) -> str:
        """What it goes over."""
        socket = self._engine.sockets.get(self._sid)
        return "websocket" if socket is not None and socket.upgraded else "polling"

    @property
    def backlog_bytes(self) -> int:
        """How much waits in the library's queue."""
        socket = self._engine.sockets.get(self._sid)
        return 0 if socket is None else self._waiting(socket)

    def disconnect(self, reason: str) -> None:
        """End the connection; what waits is dropped."""
        logger.warning("client %s is disconnected: %s", self._sid, reason)
        self._end()

    def _end(self) -> None:
        socket = self._engine.sockets.get(self._sid)
        if socket is not None:
            while not socket.queue.empty():
                socket.queue.get(block=False)
            socket.close(wait=False, abort=True)

    def _waiting(self, socket: Any, *, counted: bool = False) -> int:
        packets = (p for p in socket.queue.queue if p is not None and isinstance(p.data, str))
        return sum(len(p.data) for p in packets if not (counted and getattr(p, "is_paced", False)))
