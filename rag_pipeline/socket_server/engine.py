"""The hooks into python-engineio and python-socketio: all of them, in this module.

They let a settled WebSocket be written directly and cost no greenlet. Each hook and its reason:

==================================  ====================================================================================
``Server._handle_connect``          makes sockets of our class, and keeps of the request's environment what is used
                                    later: the library holds it as long as the client, with its buffers 20 KB each
``Socket.send``                     a packet for a settled WebSocket is written in the order of events instead of being
                                    queued for a writer greenlet; the queue of a polling client gets its bound
``Socket.poll``                     answers with at most 16 packets, since Python's client refuses more, and keeps count
                                    of the bytes that wait
``Socket.schedule_ping``            one timer for all clients instead of a greenlet for each
``Socket._upgrade_websocket``       a connection with callbacks, off the HTTP server, instead of two greenlets
``Socket.handle_post_request``      garbage from a polling client ends its session; no traceback in the log
``Socket.close``                    closes that connection, and forgets the session at once: there is no service task
``Server._log_error_once``          a client's mistake is no error of ours: logged at INFO
``socketio.Server``                 builds the engine above (``_engineio_server_class``)
``Manager.pre_connect``             no room for each client alone: nothing is sent to one, and the library looks through
                                    all rooms for each that leaves: with 10,000 that leave together (a proxy restarts),
                                    nobody is served for 7 s
``…_send_packet``           CONNECT carries the ``pid`` that a client's own connection state recovery asks for
``…_handle_connect``                is called once the client's token can be decided about
``…_handle_eio_message``            only CONNECT and DISCONNECT are listened to: the library would collect attachments
                                    without bound, let a client emit an event that is named ``connect``, and log a
                                    traceback for a packet that is no JSON
==================================  ====================================================================================

Checked against python-engineio 4.12–4.15 and python-socketio 5.13–5.18; outside of these the service uses the library's
own path, see :func:`unsupported`.
"""

from __future__ import annotations

import itertools
import logging
import re
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from weakref import WeakSet, ref

import engineio
import socketio
from engineio import exceptions
from engineio import packet as eio_packet
from engineio.socket import Socket
from socketio.packet import CONNECT, DISCONNECT

from rag_pipeline.fanout.encoding import Batch, text_frame
from rag_pipeline.socket_server.loop import DETACH, Cancellable, Environ, Loop, StartResponse
from rag_pipeline.socket_server.websocket import Receiver, WebSocketConnection, handshake

if TYPE_CHECKING:
    from rag_pipeline.socket_server.admission import Admission
    from rag_pipeline.socket_server.outlets import DirectOutlet

logger = logging.getLogger("rag_pipeline.socket")

CHECKED = {"python-engineio": ((4, 12), (4, 16)), "python-socketio": ((5, 13), (5, 19))}
KEPT_ENVIRON = ("REMOTE_ADDR", "REMOTE_PORT", "HTTP_ORIGIN", "HTTP_USER_AGENT", "HTTP_X_FORWARDED_FOR", "QUERY_STRING")
TICK_SECONDS = 0.5
# python-engineio's own client drops the connection over an answer with more.
MAX_PACKETS_A_POLL = 16
POLLS_A_TURN = 4
UPGRADE_TIMEOUT_SECONDS = 10


def unsupported() -> str | None:
    """Return why the hooks can't be used with the installed libraries, None if they can."""
    for name, (low, high) in CHECKED.items():
        found = version(name)
        parts = tuple(int(part) for part in re.findall(r"\d+", found)[:2])
        if not low <= parts < high:
            checked = f"{low[0]}.{low[1]} to {high[0]}.{high[1] - 1}"
            return f"{name} {found} is outside the range the direct path was checked with ({checked})"
    return None


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

    # -- out -------------------------------------------------------------------------------------------------------

    def send(self, pkt: eio_packet.Packet) -> None:
        """Send a packet after everything sent before."""
        if self.closed:
            return
        if self.settled is not None:
            data = pkt.encode()
            self.settled.write(text_frame(data.encode()) if isinstance(data, str) else data)
            return
        self._enqueue(pkt, len(pkt.data) if isinstance(pkt.data, str) else 100)

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
        """Wait for packets, then take those that are queued, as many as every client accepts in one answer."""
        packets: list[eio_packet.Packet] = []
        patience = self.server.ping_interval + self.server.ping_timeout
        while len(packets) < MAX_PACKETS_A_POLL:
            try:
                packet = self.queue.get(block=not packets, timeout=patience)
            except self.server.get_queue_empty_exception():
                if packets:
                    break
                if self.upgraded:  # the client switched without waiting for this poll
                    return [eio_packet.Packet(eio_packet.NOOP)]
                raise exceptions.QueueEmpty from None
            self.queue.task_done()
            if packet is None:
                if packets:
                    self.queue.put(None)  # the end of the session is for the next poll to tell
                break
            packets.append(packet)
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

    def reject(self, error: Exception) -> None:
        """Disconnect a client that sent what the protocol does not know."""
        logger.info("client %s sent what is no packet (%s); it is disconnected", self.sid, type(error).__name__)
        self.close(wait=False, abort=True, reason=self.server.reason.TRANSPORT_ERROR)

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
            self.queue.task_done()
            if packet is not None and packet.packet_type != eio_packet.NOOP:
                # What waited did not count, or was within the bound: it is no reason to cut the client off now.
                connection.write_paced(text_frame(packet.encode().encode()))
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
            super().handle_post_request(environ)
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
        if answer is None or self.connection is not None or "websocket" not in self.server.transports:
            return _refuse(start_response)
        fd = environ[DETACH]()
        self.connection = connection = WebSocketConnection(
            self.server.loop,
            fd,
            self,
            limit=self.server.backlog_limit_bytes,
            max_message=self.server.max_http_buffer_size,
        )
        connection.write(answer)
        if connection.closed:
            return ()  # the client was gone before the answer
        if self.connected:
            self._upgrade_deadline = self.server.loop.call_later(UPGRADE_TIMEOUT_SECONDS, self._give_up_upgrade)
        else:
            self._settle()
        return ()


def _refuse(start_response: StartResponse) -> Iterable[bytes]:
    start_response("400 Bad Request", [("Content-Type", "text/plain")])
    return (b"this is not a valid WebSocket handshake",)


class EngineServer(engineio.Server):  # type: ignore[misc]  # the library has no types
    """An Engine.IO server whose WebSockets live on the loop's callbacks."""

    loop: Loop
    backlog_limit_bytes: int
    count_overflow: Callable[[str, int], None]

    def __init__(self, **options: Any) -> None:
        self.loop = options.pop("loop")
        self.backlog_limit_bytes = options.pop("backlog_limit_bytes")
        self.count_overflow = options.pop("count_overflow")
        super().__init__(monitor_clients=False, **options)
        self.finishing = False
        self.pings = Pings(self)
        self.polls = Polls(self)
        self._leaving: WeakSet[WebSocketConnection] = WeakSet()

    def say_goodbye(self, connection: WebSocketConnection) -> None:
        """Close the connection once it has taken what waits for it, within a bounded time."""
        connection.close()
        if connection.backlog_bytes:
            self._leaving.add(connection)

    def abandon(self) -> None:
        """Cut off those that have not taken what waits for them."""
        for connection in list(self._leaving):
            connection.abort()

    def _handle_connect(
        self, environ: Environ, start_response: StartResponse, transport: str, jsonp_index: int | None = None
    ) -> Any:
        if self.finishing:
            return {"status": "503 Service Unavailable", "headers": [], "response": b"the service is stopping"}
        sid = self.generate_id()
        socket = EngineSocket(self, sid)
        self.sockets[sid] = socket
        socket.send(
            eio_packet.Packet(
                eio_packet.OPEN,
                {
                    "sid": sid,
                    "upgrades": self._upgrades(sid, transport),
                    "pingTimeout": int(self.ping_timeout * 1000),
                    "pingInterval": int(self.ping_interval * 1000),
                    "maxPayload": self.max_http_buffer_size,
                },
            )
        )
        self._trigger_event("connect", sid, {k: environ[k] for k in KEPT_ENVIRON if k in environ}, run_async=False)
        socket.schedule_ping()
        if transport != "websocket":
            socket.connected = True
            return self._ok(socket.poll(), jsonp_index=jsonp_index)
        answer = socket._upgrade_websocket(environ, start_response)
        if not socket.connected:
            socket.close(abort=True, reason=self.reason.TRANSPORT_ERROR)
        return answer

    def _log_error_once(self, message: str, message_key: str) -> None:  # noqa: ARG002
        self.logger.info(message)


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
    """Pings every client in turn, and ends those that do not answer; one timer for all.

    Every client waits the same time, so two queues in the order of their entries are in the order of their dues.
    """

    def __init__(self, server: EngineServer) -> None:
        self._server = server
        # Weak, so that a storm of clients that come and go is not held until their pings are due.
        self._to_ping: deque[tuple[float, ref[EngineSocket]]] = deque()
        self._to_answer: deque[tuple[float, ref[EngineSocket], float]] = deque()

    def start(self) -> None:
        """Begin; on the loop's thread."""
        self._server.loop.call_later(TICK_SECONDS, self._tick)

    def schedule(self, socket: EngineSocket) -> None:
        """Ping the client one interval from now."""
        self._to_ping.append((time.monotonic() + self._server.ping_interval, ref(socket)))

    def _tick(self) -> None:
        self.start()
        now = time.monotonic()
        while self._to_ping and self._to_ping[0][0] <= now:
            socket = self._to_ping.popleft()[1]()
            if socket is not None and not socket.closed and not socket.closing:
                socket.last_ping = time.time()
                self._to_answer.append((now + self._server.ping_timeout, ref(socket), socket.last_ping))
                socket.send(eio_packet.Packet(eio_packet.PING))
        while self._to_answer and self._to_answer[0][0] <= now:
            _, asked_socket, asked = self._to_answer.popleft()
            socket = asked_socket()
            if socket is not None and socket.last_ping == asked and not socket.closed:
                socket.close(reason=self._server.reason.PING_TIMEOUT)


class Manager(socketio.Manager):  # type: ignore[misc]  # the library has no types
    """The clients of each namespace, without a room for each of them."""

    def pre_connect(self, eio_sid: str, namespace: str) -> str | None:
        """Take a client in whose connect handler is about to be asked; None if it is in already."""
        if self.sid_from_eio_sid(eio_sid, namespace) is not None:
            return None
        sid: str = self.server.eio.generate_id()
        self.basic_enter_room(sid, namespace, None, eio_sid=eio_sid)
        self.pending_connect.setdefault(namespace, []).append(sid)
        return sid


class SocketIOServer(socketio.Server):  # type: ignore[misc]  # the library has no types
    """A Socket.IO server on :class:`EngineServer`.

    ``pids`` holds, by session id, what CONNECT tells a client that recovers by Socket.IO's own means. ``admission`` may
    have a client wait for its CONNECT.
    """

    def __init__(self, **options: Any) -> None:
        self._admission: Admission = options.pop("admission")
        super().__init__(client_manager=Manager(), **options)
        self.pids: dict[str, str] = {}

    def _send_packet(self, eio_sid: str, pkt: Any) -> None:
        if pkt.packet_type == CONNECT and (pid := self.pids.pop(pkt.data["sid"], None)) is not None:
            pkt.data["pid"] = pid
        super()._send_packet(eio_sid, pkt)

    def _handle_connect(self, eio_sid: str, namespace: str | None, data: object) -> None:
        proceed = partial(super()._handle_connect, eio_sid, namespace, data)
        self._admission.when_decided(eio_sid, data, proceed, lambda: eio_sid not in self.eio.sockets)

    def _handle_eio_message(self, eio_sid: str, data: object) -> None:
        if not isinstance(data, str) or data[:1] not in (str(CONNECT), str(DISCONNECT)):
            return
        try:
            super()._handle_eio_message(eio_sid, data)
        except Exception as error:  # noqa: BLE001 - the library would log a traceback for each packet that is no JSON
            socket = self.eio.sockets.get(eio_sid)
            if socket is not None:
                socket.reject(error)

    def _engineio_server_class(self) -> type[EngineServer]:
        return EngineServer
