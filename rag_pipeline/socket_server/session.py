"""One client's Engine.IO session, from polling through the upgrade to a WebSocket, and its end.

The overridden methods of the library are listed in :mod:`rag_pipeline.socket_server.library_hooks`.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Container, Iterable
from typing import Any, Protocol

from engineio import exceptions, payload
from engineio import packet as eio_packet
from engineio.socket import Socket

from rag_pipeline.broadcast.encoding import PacketBatch, frame, text_frame
from rag_pipeline.socket_server.loop import CONNECTION, Cancellable, Environ, Loop, StartResponse
from rag_pipeline.socket_server.packets import PacketReader
from rag_pipeline.socket_server.rate_limit import CONNECT_COST, RateLimit
from rag_pipeline.socket_server.schedulers import PingScheduler, PollScheduler
from rag_pipeline.socket_server.websocket import POLICY_VIOLATION, WebSocketConnection, handshake

logger = logging.getLogger("rag_pipeline.socket")

# python-engineio's own client drops the connection if an answer has more.
MAX_PACKETS_A_POLL = 16
MAX_REFUSED_CONNECTS = 10
UPGRADE_TIMEOUT_SECONDS = 10
BINARY = 0x2


class Engine(Protocol):
    """The part of the Engine.IO server that its sessions use."""

    loop: Loop
    pings: PingScheduler
    polls: PollScheduler
    backlog_limit_bytes: int
    count_overflow: Callable[[str, int], None]
    ping_interval: float
    ping_timeout: float
    max_http_buffer_size: int
    transports: Container[str]
    sockets: dict[str, Any]
    reason: Any

    def close_after_backlog(self, connection: WebSocketConnection) -> None:
        """Close the connection once the client has taken its backlog, within a bounded time."""
        ...

    def get_queue_empty_exception(self) -> type[Exception]:
        """Return the exception that an empty queue raises."""
        ...


class EngineSession(Socket):  # type: ignore[misc]  # the library has no types
    """One client's Engine.IO session, over polling or a WebSocket."""

    server: Engine
    last_ping: float | None

    def __init__(self, server: Engine, sid: str) -> None:
        super().__init__(server, sid)
        self.connection: WebSocketConnection | None = None  # from its handshake on
        self.upgraded_connection: WebSocketConnection | None = None  # the same, once everything is sent over it
        self.upgrade_callbacks: dict[str, Callable[[WebSocketConnection], None]] = {}  # by namespace
        self._waiting: deque[eio_packet.Packet] = deque()  # go into the queue in this client's turn
        self.queued_bytes = 0
        self._paced_bytes = 0  # the part of queued_bytes that does not count against the bound
        self._upgrade_deadline: Cancellable | None = None
        self.packet_reader = PacketReader()
        self.rate_limit = RateLimit()
        self._refused_connects = 0

    # -- sending ---------------------------------------------------------------------------------------------------

    def send(self, pkt: eio_packet.Packet) -> None:
        """Send a packet after everything sent before."""
        if self.closed:
            return
        if self.upgraded_connection is not None:
            self.upgraded_connection.write(_frame_of(pkt))
            return
        self._enqueue(pkt, len(pkt.data) if isinstance(pkt.data, (str, bytes)) else 100)

    def _enqueue(self, pkt: eio_packet.Packet, size: int, *, counts: bool = True) -> None:
        pkt.waiting_bytes, pkt.paced_bytes = size, 0 if counts else size
        self._waiting.append(pkt)
        self.queued_bytes += size
        self._paced_bytes += pkt.paced_bytes
        if self.closing:
            self.release()  # the library queues the end of the session next
        else:
            self.server.polls.schedule(self)
        if self.queued_bytes - self._paced_bytes > self.server.backlog_limit_bytes:
            self.on_overflow(self.queued_bytes)

    def queue_batch(self, batch: PacketBatch, *, counts: bool = True) -> None:
        """Queue events one by one for a client that is not upgraded."""
        for packet in batch.packets:
            if self.closed:  # over the bound
                return
            self._enqueue(eio_packet.Packet(eio_packet.MESSAGE, packet.text), len(packet.frame), counts=counts)

    @property
    def has_waiting_packets(self) -> bool:
        """Whether packets wait for the client's next poll."""
        return bool(self._waiting) or not self.queue.empty()

    def close_after_polls(self) -> bool:
        """Queue CLOSE behind the packets that wait for polls; False if none wait."""
        if self.upgraded_connection is not None or not self.has_waiting_packets:
            return False
        self.send(eio_packet.Packet(eio_packet.CLOSE))
        return True

    def release(self) -> None:
        """Hand the waiting packets to the poll under way, or to the next one."""
        while self._waiting:
            self.queue.put(self._waiting.popleft())

    def poll(self) -> list[eio_packet.Packet]:
        """Wait for packets, then take as many queued ones as every client accepts in one answer.

        CLOSE goes alone: socket.io-client closes at once and would keep the events before it for its next connection.
        """
        try:
            first = self.queue.get(timeout=self.server.ping_interval + self.server.ping_timeout)
        except self.server.get_queue_empty_exception():
            if self.upgraded:  # the client upgraded without waiting for this poll
                return [eio_packet.Packet(eio_packet.NOOP)]
            raise exceptions.QueueEmpty from None
        if first is None:
            return [eio_packet.Packet(eio_packet.NOOP)]  # the session has ended; the next poll is refused
        packets = [first]
        queued = self.queue.queue
        while queued and len(packets) < MAX_PACKETS_A_POLL and not _ends(first) and not _ends(queued[0]):
            packets.append(self.queue.get(block=False))
        self.queued_bytes -= sum(getattr(packet, "waiting_bytes", 0) for packet in packets)
        self._paced_bytes -= sum(getattr(packet, "paced_bytes", 0) for packet in packets)
        return packets

    # -- receiving -------------------------------------------------------------------------------------------------

    def on_message(self, message: str | bytes) -> None:
        """Handle a WebSocket message: the two of the upgrade first, then Engine.IO packets."""
        try:
            packet = eio_packet.Packet(encoded_packet=message)
            if self.upgraded:
                self.receive(packet)
            else:
                self._on_upgrade_packet(packet)
        except Exception as error:  # noqa: BLE001 - no client may raise into the loop
            if not self.upgraded:
                self._cancel_upgrade()
                return
            self.reject(error)

    def receive(self, pkt: eio_packet.Packet) -> None:
        """Handle an Engine.IO packet; an UPGRADE is invalid here (the library would answer any number of them)."""
        if pkt.packet_type == eio_packet.UPGRADE:
            raise exceptions.UnknownPacketError
        super().receive(pkt)

    def handle_post_request(self, environ: Environ) -> None:
        """Handle the packets of a polling client; an invalid one ends the session without a traceback in the log."""
        try:
            packets = payload.Payload(encoded_payload=environ["wsgi.input"].read().decode()).packets
            if not self.rate_limit.take(1 + len(packets)):
                raise exceptions.UnknownPacketError("too many packets")
            for packet in packets:
                if not self.closed:
                    self.receive(packet)
        except exceptions.EngineIOError:
            raise
        except Exception as error:  # noqa: BLE001 - as in on_message
            raise exceptions.UnknownPacketError(type(error).__name__) from None

    def reject(self, error: Exception) -> None:
        """Disconnect a client that sent an invalid packet."""
        logger.info("client %s is disconnected: it sent an invalid packet (%s)", self.sid, type(error).__name__)
        self.close(wait=False, abort=True, reason=self.server.reason.TRANSPORT_ERROR)

    def allows_connect(self) -> bool:
        """Count a CONNECT; if there are too many, end the session and return False."""
        if self.rate_limit.take(CONNECT_COST - 1):  # its frame has already counted as one
            return True
        self._end_flood("too many CONNECTs")
        return False

    def count_connect_answer(self, *, joined: bool) -> None:
        """Count the answer to a CONNECT; after too many refusals in a row the client is disconnected."""
        self._refused_connects = 0 if joined else self._refused_connects + 1
        if self._refused_connects >= MAX_REFUSED_CONNECTS:
            # Later, because the library has not finished with this CONNECT yet.
            self.server.loop.call_later(0, lambda: self._end_flood("too many refused CONNECTs"))

    def _end_flood(self, reason: str) -> None:
        logger.info("client %s is disconnected: %s", self.sid, reason)
        if self.upgraded_connection is not None:
            self.upgraded_connection.fail(POLICY_VIOLATION)  # calls on_lost, which ends the session
        else:
            self.close(wait=False, reason=self.server.reason.TRANSPORT_ERROR)

    def on_lost(self) -> None:
        """Handle the end of the WebSocket: end the session, or only the upgrade if that is under way."""
        if self.upgraded:
            self.connection = self.upgraded_connection = None
            self.close(wait=False, abort=True, reason=self.server.reason.TRANSPORT_CLOSE)
        else:
            self._cancel_upgrade()

    def on_overflow(self, backlog_bytes: int) -> None:
        """Disconnect a client whose backlog is over the bound; it may connect again."""
        if not self.closed and not self.closing:
            self.server.count_overflow(self.sid, backlog_bytes)
            self.close(wait=False, abort=True, reason=self.server.reason.TRANSPORT_ERROR)

    # -- the upgrade -----------------------------------------------------------------------------------------------

    def _upgrade_websocket(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        answer = handshake(environ)
        if answer is None or "websocket" not in self.server.transports:
            return _refuse_handshake(start_response)
        connection = WebSocketConnection(
            self.server.loop,
            environ[CONNECTION].detach(),
            self,
            limit=self.server.backlog_limit_bytes,
            max_message=self.server.max_http_buffer_size,
            rate_limit=self.rate_limit,
        )
        connection.write(answer)
        if self.upgraded or self.connection is not None:
            connection.close()  # a session has one WebSocket; a browser could not read an HTTP error anyway
            return ()
        self.connection = connection
        if connection.closed:
            return ()  # the client left before the answer
        if self.connected:
            self._upgrade_deadline = self.server.loop.call_later(UPGRADE_TIMEOUT_SECONDS, self._cancel_upgrade)
        else:
            self._complete_upgrade()
        return ()

    def _on_upgrade_packet(self, packet: eio_packet.Packet) -> None:
        connection = self.connection
        assert connection is not None
        if packet.packet_type == eio_packet.PING and packet.data == "probe":
            self.upgrading = True  # polls get no more events until the client has upgraded
            connection.write(text_frame(b"3probe"))
            self.queue.put(eio_packet.Packet(eio_packet.NOOP))  # ends the poll under way
        elif packet.packet_type == eio_packet.UPGRADE and self.upgrading:
            self._complete_upgrade()
        else:
            self._cancel_upgrade()

    def _complete_upgrade(self) -> None:
        """Send the queued packets over the WebSocket, then everything else."""
        connection = self.connection
        assert connection is not None
        self.connected = self.upgraded = True
        self.upgrading = False
        self._cancel_upgrade_deadline()
        self.release()
        while not self.queue.empty():
            packet = self.queue.get(block=False)
            if packet is not None and packet.packet_type != eio_packet.NOOP:
                # Paced: these packets were within the bound, or did not count against it.
                connection.write_paced(_frame_of(packet))
        self.queued_bytes = self._paced_bytes = 0
        if not self.closed:  # by a write above, if the peer has left
            self.upgraded_connection = connection
            for callback in self.upgrade_callbacks.values():
                callback(connection)
            self.upgrade_callbacks = {}

    def _cancel_upgrade(self) -> None:
        connection, self.connection = self.connection, None
        self.upgrading = False
        self._cancel_upgrade_deadline()
        if connection is not None:
            connection.abort()

    def _cancel_upgrade_deadline(self) -> None:
        deadline, self._upgrade_deadline = self._upgrade_deadline, None
        if deadline is not None:
            deadline.cancel()

    # -- pings and the end -----------------------------------------------------------------------------------------

    def schedule_ping(self) -> None:
        """Have the client pinged after the interval, unless a ping is scheduled already."""
        if self.last_ping:
            self.last_ping = None
            self.server.pings.schedule(self)

    def close(self, wait: bool = True, abort: bool = False, reason: str | None = None) -> None:  # noqa: ARG002
        """End the session: call the handlers, send CLOSE unless ``abort``, forget the session. Never waits."""
        if self.closed or self.closing:
            return
        super().close(wait=False, abort=abort, reason=reason)
        self.server.sockets.pop(self.sid, None)
        self._cancel_upgrade_deadline()
        connection, self.connection = self.connection, None
        self.upgraded_connection = None
        if connection is not None:
            connection.abort() if abort else self.server.close_after_backlog(connection)


def _frame_of(packet: eio_packet.Packet) -> bytes:
    return frame(BINARY, packet.data) if packet.binary else text_frame(packet.encode().encode())


def _ends(packet: eio_packet.Packet | None) -> bool:
    return packet is None or packet.packet_type == eio_packet.CLOSE


def _refuse_handshake(start_response: StartResponse) -> Iterable[bytes]:
    start_response("400 Bad Request", [("Content-Type", "text/plain")])
    return (b"this is not a valid WebSocket handshake",)
