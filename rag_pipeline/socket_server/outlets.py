"""The two ways to send to a Socket.IO client: directly, and through the library."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from engineio import packet as eio_packet

from rag_pipeline.broadcast import PacketBatch
from rag_pipeline.socket_server.websocket import WebSocketConnection

if TYPE_CHECKING:  # not at run time: the library path has to work where the hooks don't import
    from rag_pipeline.socket_server.session import EngineSession

logger = logging.getLogger("rag_pipeline.socket")


class DirectOutlet:
    """Writes to the client's WebSocket, or queues while the client is not upgraded."""

    __slots__ = ("_session", "send")

    def __init__(self, session: EngineSession, name: str) -> None:
        self._session = session
        self.send: Callable[[PacketBatch], None] = session.queue_batch
        if session.upgraded_connection is not None:
            self._use(session.upgraded_connection)
        else:
            session.upgrade_callbacks[name] = self._use

    def _use(self, connection: WebSocketConnection) -> None:
        # The connection's own method: the hub's call reaches it without a step in between.
        self.send = connection.write_batch

    def send_paced(self, batch: PacketBatch) -> None:
        """Send packets that don't count against the bound."""
        connection = self._session.upgraded_connection
        if connection is None:
            self._session.queue_batch(batch, counts=False)
        else:
            connection.write_paced(batch.wire)

    @property
    def transport(self) -> str:
        """The current transport."""
        return "polling" if self._session.upgraded_connection is None else "websocket"

    @property
    def backlog_bytes(self) -> int:
        """Bytes that were sent and the client has not taken yet."""
        connection = self._session.upgraded_connection
        return self._session.queued_bytes if connection is None else connection.backlog_bytes

    def disconnect(self, reason: str) -> None:
        """Disconnect the client and drop its backlog."""
        logger.warning("client %s is disconnected: %s", self._session.sid, reason)
        self._session.close(abort=True)


class LibraryOutlet:
    """Sends through python-engineio's public methods and attributes only."""

    __slots__ = ("_count_overflow", "_engine", "_limit", "_sent_bytes", "_sid")

    def __init__(self, engine: Any, sid: str, limit: int, count_overflow: Callable[[str, int], None]) -> None:
        self._engine = engine
        self._count_overflow = count_overflow
        self._sid = sid
        self._limit = limit
        self._sent_bytes = 0

    def send(self, batch: PacketBatch) -> None:
        """Queue the packets for the library's writer."""
        session = self._session
        if session is None or session.closed:
            return
        if session.queue.empty():
            self._sent_bytes = 0
        for packet in batch.packets:
            self._engine.send_packet(self._sid, eio_packet.Packet(eio_packet.MESSAGE, packet.text))
        self._sent_bytes += len(batch.wire)
        if self._sent_bytes > self._limit and (waiting := _queued_bytes(session, counted_only=True)) > self._limit:
            self._count_overflow(self._sid, waiting)
            self._close()

    def send_paced(self, batch: PacketBatch) -> None:
        """Queue packets that don't count against the bound."""
        for packet in batch.packets:
            queued = eio_packet.Packet(eio_packet.MESSAGE, packet.text)
            queued.is_paced = True
            self._engine.send_packet(self._sid, queued)

    @property
    def transport(self) -> str:
        """The current transport."""
        session = self._session
        return "websocket" if session is not None and session.upgraded else "polling"

    @property
    def backlog_bytes(self) -> int:
        """Bytes in the library's queue."""
        session = self._session
        return 0 if session is None else _queued_bytes(session)

    def disconnect(self, reason: str) -> None:
        """Disconnect the client and drop its backlog."""
        logger.warning("client %s is disconnected: %s", self._sid, reason)
        self._close()

    @property
    def _session(self) -> Any:
        return self._engine.sockets.get(self._sid)

    def _close(self) -> None:
        session = self._session
        if session is not None:
            while not session.queue.empty():
                session.queue.get(block=False)
            session.close(wait=False, abort=True)


def _queued_bytes(session: Any, *, counted_only: bool = False) -> int:
    packets = (p for p in session.queue.queue if p is not None and isinstance(p.data, str))
    return sum(len(p.data) for p in packets if not (counted_only and getattr(p, "is_paced", False)))
