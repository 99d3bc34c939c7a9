"""One client's Engine.IO session: its way from polling to a WebSocket, and the end of it.

The hooks that this class is made of are listed in :mod:`rag_pipeline.socket_server.engine`.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from engineio import exceptions, payload
from engineio import packet as eio_packet
from engineio.socket import Socket

from rag_pipeline.broadcast.encoding import Batch, frame, text_frame
from rag_pipeline.socket_server.allowance import CONNECT_COST, Allowance
from rag_pipeline.socket_server.loop import CONNECTION, Cancellable, Environ, StartResponse
from rag_pipeline.socket_server.packets import Inbound
from rag_pipeline.socket_server.websocket import POLICY_VIOLATION, Receiver, WebSocketConnection, handshake

if TYPE_CHECKING:
    from rag_pipeline.socket_server.engine import EngineServer
    from rag_pipeline.socket_server.outlets import DirectOutlet

logger = logging.getLogger("rag_pipeline.socket")

# python-engineio's own client drops the connection over an answer with more.
MAX_PACKETS_A_POLL = 16
MAX_REFUSED_CONNECTS = 10
UPGRADE_TIMEOUT_SECONDS = 10
BINARY = 0x2


class EngineSocket(Socket, Receiver):  # type: ignore[misc]  # the library has no types
    """One client's Engine.IO session, over polling or a WebSocket."""

    server: EngineServer
    last_ping: float | None

    def __init__(self, server: EngineServer, sid: str) -> None:
        super().__init__(server, sid)
        self.connection: WebSocketConnection | None = None
        self.settled: WebSocketConnection | None = None  # the connection, once it is the one way out
        self.outlets: dict[str, DirectOutlet] = {}  # by the namespace's name, until the WebSocket has settled
        self._waiting: deque[eio_packet.Packet] = deque()  # for the queue, when this client's turn comes
        self.queued_bytes = 0
        self._paced_bytes = 0  # of those, what does not count against the bound
        self._upgrade_deadline: Cancellable | None = None
        self.inbound = Inbound()
        self.allowance = Allowance()
        self._refused_connects = 0

    # -- out -------------------------------------------------------------------------------------------------------

    def send(self, pkt: eio_packet.Packet) -> None:
        """Send a packet after everything sent before."""
        if self.closed:
            return
        if self.settled is not None:
            self.settled.write(_frame_of(pkt))
            return
        self._enqueue(pkt, len(pkt.data) if isinstance(pkt.data, (str, bytes)) else 100)

    def _enqueue(self, pkt: eio_packet.Packet, size: int, *, counts: bool = True) -> None:
        pkt.waiting_bytes, pkt.paced_bytes = size, 0 if counts else size
        self._waiting.append(pkt)
        self.queued_bytes += size
        self._paced_bytes += pkt.paced_bytes
        if self.closing:
            self.release()  # the end of the session is put behind it right away
        else:
            self.server.polls.schedule(self)
        if self.queued_bytes - self._paced_bytes > self.server.backlog_limit_bytes:
            self.on_overflow(self.queued_bytes)

    def queue_batch(self, batch: Batch, *, counts: bool = True) -> None:
        """Send events to a client that has no settled WebSocket: one by one through the library's queue."""
        for packet in batch.packets:
            if self.closed:  # by the bound
                return
            self._enqueue(eio_packet.Packet(eio_packet.MESSAGE, packet.text), len(packet.frame), counts=counts)

    @property
    def waits(self) -> bool:
        """Whether packets wait for the client's next poll."""
        return bool(self._waiting) or not self.queue.empty()

    def linger(self) -> bool:
        """Leave a polling client its session until it has fetched what waits and a goodbye; False if nothing waits."""
        if self.settled is not None or not self.waits:
            return False
        self.send(eio_packet.Packet(eio_packet.CLOSE))
        return True

    def release(self) -> None:
        """Hand what waits to the poll that is under way, or to the next one."""
        while self._waiting:
            self.queue.put(self._waiting.popleft())

    def poll(self) -> list[eio_packet.Packet]:
        """Wait for packets, then take those that are queued, as many as every client accepts in one answer.

        CLOSE goes alone: socket.io-client closes at once and would keep the events before it for its next connection.
        """
        try:
            first = self.queue.get(timeout=self.server.ping_interval + self.server.ping_timeout)
        except self.server.get_queue_empty_exception():
            if self.upgraded:  # the client switched without waiting for this poll
                return [eio_packet.Packet(eio_packet.NOOP)]
            raise exceptions.QueueEmpty from None
        if first is None:
            return [eio_packet.Packet(eio_packet.NOOP)]  # the session has ended: the next poll is told so
        packets = [first]
        queued = self.queue.queue
        while queued and len(packets) < MAX_PACKETS_A_POLL and not _ends(first) and not _ends(queued[0]):
            packets.append(self.queue.get(block=False))
        self.queued_bytes -= sum(getattr(packet, "waiting_bytes", 0) for packet in packets)
        self._paced_bytes -= sum(getattr(packet, "paced_bytes", 0) for packet in packets)
        return packets

    # -- in --------------------------------------------------------------------------------------------------------

    def on_message(self, message: str | bytes) -> None:
        """Take a message of the WebSocket: the two of the upgrade first, then Engine.IO packets."""
        try:
            packet = eio_packet.Packet(encoded_packet=message)
            if self.upgraded:
                self.receive(packet)
            else:
                self._on_probe(packet)
        except Exception as error:  # noqa: BLE001 - whatever a client sends must not reach the loop
            if not self.upgraded:
                self._give_up_upgrade()
                return
            self.reject(error)

    def receive(self, pkt: eio_packet.Packet) -> None:
        """Take an Engine.IO packet; an UPGRADE has no business here, and the library would take any number of them."""
        if pkt.packet_type == eio_packet.UPGRADE:
            raise exceptions.UnknownPacketError
        super().receive(pkt)

    def reject(self, error: Exception) -> None:
        """Disconnect a client that sent what the protocol does not know."""
        logger.info("client %s sent what is no packet (%s); it is disconnected", self.sid, type(error).__name__)
        self.close(wait=False, abort=True, reason=self.server.reason.TRANSPORT_ERROR)

    def allows_connect(self) -> bool:
        """Count a CONNECT; False if there are too many, and then the session ends."""
        if self.allowance.take(CONNECT_COST - 1):  # the rest was counted with its frame
            return True
        self._end_flood("too many CONNECTs")
        return False

    def count_answer(self, *, joined: bool) -> None:
        """Count the answer to a CONNECT: a client that is refused again and again is disconnected."""
        self._refused_connects = 0 if joined else self._refused_connects + 1
        if self._refused_connects >= MAX_REFUSED_CONNECTS:
            # Not here: the library has not finished with this CONNECT yet.
            self.server.loop.call_later(0, lambda: self._end_flood("its CONNECTs are refused"))

    def _end_flood(self, reason: str) -> None:
        logger.info("client %s is disconnected: %s", self.sid, reason)
        if self.settled is not None:
            self.settled.fail(POLICY_VIOLATION)  # which ends the session, too
        else:
            self.close(wait=False, reason=self.server.reason.TRANSPORT_ERROR)

    def _on_probe(self, packet: eio_packet.Packet) -> None:
        connection = self.connection
        assert connection is not None
        if packet.packet_type == eio_packet.PING and packet.data == "probe":
            self.upgrading = True  # holds the queue until the client says that it has switched
            connection.write(text_frame(b"3probe"))
            self.queue.put(eio_packet.Packet(eio_packet.NOOP))  # ends the poll that is under way
        elif packet.packet_type == eio_packet.UPGRADE and self.upgrading:
            self._settle()
        else:
            self._give_up_upgrade()

    def _settle(self) -> None:
        """From here on the WebSocket is the one way out; what the queue still holds goes first."""
        connection = self.connection
        assert connection is not None
        self.connected = self.upgraded = True
        self.upgrading = False
        self._stop_waiting_for_upgrade()
        self.release()
        while not self.queue.empty():
            packet = self.queue.get(block=False)
            if packet is not None and packet.packet_type != eio_packet.NOOP:
                # What waited did not count, or was within the bound: it is no reason to cut the client off now.
                connection.write_paced(_frame_of(packet))
        self.queued_bytes = self._paced_bytes = 0
        if not self.closed:  # by the bound, or since the peer is gone
            self.settled = connection
            for outlet in self.outlets.values():
                outlet.send = connection.write_batch
            self.outlets = {}

    def _give_up_upgrade(self) -> None:
        connection, self.connection = self.connection, None
        self.upgrading = False
        self._stop_waiting_for_upgrade()
        if connection is not None:
            connection.abort()

    def _stop_waiting_for_upgrade(self) -> None:
        deadline, self._upgrade_deadline = self._upgrade_deadline, None
        if deadline is not None:
            deadline.cancel()

    def on_lost(self) -> None:
        """The WebSocket is over: the session too, unless it was still being upgraded."""
        if self.upgraded:
            self.connection = self.settled = None
            self.close(wait=False, abort=True, reason=self.server.reason.TRANSPORT_CLOSE)
        else:
            self._give_up_upgrade()

    def on_overflow(self, backlog_bytes: int) -> None:
        """The client does not keep up: it is disconnected, and may connect afresh."""
        if not self.closed and not self.closing:
            self.server.count_overflow(self.sid, backlog_bytes)
            self.close(wait=False, abort=True, reason=self.server.reason.TRANSPORT_ERROR)

    def handle_post_request(self, environ: Environ) -> None:
        """Take what a polling client sent; what is not Engine.IO ends the session, without a traceback in the log."""
        try:
            packets = payload.Payload(encoded_payload=environ["wsgi.input"].read().decode()).packets
            if not self.allowance.take(1 + len(packets)):
                raise exceptions.UnknownPacketError("too many packets")
            for packet in packets:
                if not self.closed:
                    self.receive(packet)
        except exceptions.EngineIOError:
            raise
        except Exception as error:  # noqa: BLE001 - as in on_message
            raise exceptions.UnknownPacketError(type(error).__name__) from None

    # -- hooks -----------------------------------------------------------------------------------------------------

    def schedule_ping(self) -> None:
        """Have the client pinged once the interval has passed; a ping that is under way is enough."""
        if self.last_ping:
            self.last_ping = None
            self.server.pings.schedule(self)

    def close(self, wait: bool = True, abort: bool = False, reason: str | None = None) -> None:  # noqa: ARG002
        """End the session: tell the handlers, say goodbye unless ``abort``, and forget it; never waits."""
        if self.closed or self.closing:
            return
        super().close(wait=False, abort=abort, reason=reason)
        self.server.sockets.pop(self.sid, None)
        self._stop_waiting_for_upgrade()
        connection, self.connection = self.connection, None
        self.settled = None
        if connection is not None:
            connection.abort() if abort else self.server.say_goodbye(connection)

    def _upgrade_websocket(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        answer = handshake(environ)
        if answer is None or "websocket" not in self.server.transports:
            return _refuse(start_response)
        connection = WebSocketConnection(
            self.server.loop,
            environ[CONNECTION].detach(),
            self,
            limit=self.server.backlog_limit_bytes,
            max_message=self.server.max_http_buffer_size,
            allowance=self.allowance,
        )
        connection.write(answer)
        if self.upgraded or self.connection is not None:
            connection.close()  # a session has one WebSocket; a browser could not read an HTTP error anyway
            return ()
        self.connection = connection
        if connection.closed:
            return ()  # the client was gone before the answer
        if self.connected:
            self._upgrade_deadline = self.server.loop.call_later(UPGRADE_TIMEOUT_SECONDS, self._give_up_upgrade)
        else:
            self._settle()
        return ()


def _frame_of(packet: eio_packet.Packet) -> bytes:
    return frame(BINARY, packet.data) if packet.binary else text_frame(packet.encode().encode())


def _ends(packet: eio_packet.Packet | None) -> bool:
    return packet is None or packet.packet_type == eio_packet.CLOSE


def _refuse(start_response: StartResponse) -> Iterable[bytes]:
    start_response("400 Bad Request", [("Content-Type", "text/plain")])
    return (b"this is not a valid WebSocket handshake",)
