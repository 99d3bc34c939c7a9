"""The hooks into python-engineio and python-socketio; those of a session are in :mod:`.session`.

They let a settled WebSocket be written directly and cost no greenlet. Each hook and its reason:

==================================  ====================================================================================
``Server._handle_connect``          makes sockets of our class, and keeps of the request's environment what is used
                                    later: the library holds it as long as the client, with its buffers 20 KB each
``Socket.send``                     a packet for a settled WebSocket is written in the order of events instead of being
                                    queued for a writer greenlet; the queue of a polling client gets its bound
``Socket.poll``                     answers with at most 16 packets, since Python's client refuses more, or with CLOSE
                                    alone, and keeps count of the bytes that wait
``Socket.schedule_ping``            one timer for all clients instead of a greenlet for each
``Socket._upgrade_websocket``       a connection with callbacks, off the HTTP server, instead of two greenlets
``Socket.handle_post_request``      garbage or too much from a polling client ends its session; no traceback in the log
``Socket.receive``                  an UPGRADE that upgrades nothing ends the session
``Socket.close``                    closes that connection, and forgets the session at once: there is no service task
``Server.handle_request``           a second WebSocket of a session is opened and closed, as on Socket.IO's own server
``Server._ok``, ``_bad_request``    answer in the words of Socket.IO's own server
``Server._log_error_once``          a client's mistake is no error of ours: logged at INFO
``socketio.Server``                 builds the engine above (``_engineio_server_class``)
``Manager.pre_connect``             no room for each client alone: nothing is sent to one, and the library looks through
                                    all rooms for each that leaves: with 10,000 that leave together (a proxy restarts),
                                    nobody is served for 7 s
``…_send_packet``           CONNECT carries the ``pid`` that a client's own connection state recovery asks for
``…_handle_connect``                is called once the client's token can be decided about
``…_handle_eio_message``            only CONNECT and DISCONNECT are listened to, and what is no packet ends the session:
                                    the library would collect attachments without bound, let a client emit an event
                                    that is named ``connect``, and log a traceback for a packet that is no JSON
==================================  ====================================================================================

Checked against python-engineio 4.12–4.15 and python-socketio 5.13–5.18; outside of these the service uses the library's
own path, see :func:`unsupported`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import engineio
import socketio
from engineio import packet as eio_packet
from socketio.packet import CONNECT, CONNECT_ERROR, DISCONNECT

from rag_pipeline.socket_server.loop import Environ, Loop, StartResponse
from rag_pipeline.socket_server.pacing import Pings, Polls
from rag_pipeline.socket_server.refusals import bad_request, parameter
from rag_pipeline.socket_server.session import EngineSocket
from rag_pipeline.socket_server.websocket import WebSocketConnection

if TYPE_CHECKING:
    from rag_pipeline.socket_server.authorization import Admission

logger = logging.getLogger("rag_pipeline.socket")

CHECKED = {"python-engineio": ((4, 12), (4, 16)), "python-socketio": ((5, 13), (5, 19))}
KEPT_ENVIRON = ("REMOTE_ADDR", "REMOTE_PORT", "HTTP_ORIGIN", "HTTP_USER_AGENT", "HTTP_X_FORWARDED_FOR", "QUERY_STRING")
_DIGITS = re.compile(r"\d+")


def unsupported() -> str | None:
    """Return why the hooks can't be used with the installed libraries, None if they can."""
    for name, (low, high) in CHECKED.items():
        found = version(name)
        parts = tuple(int(part) for part in _DIGITS.findall(found)[:2])
        if not low <= parts < high:
            checked = f"{low[0]}.{low[1]} to {high[0]}.{high[1] - 1}"
            return f"{name} {found} is outside the range the direct path was checked with ({checked})"
    return None


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

    def handle_request(self, environ: Environ, start_response: StartResponse) -> Any:
        """Answer one request."""
        session = self.sockets.get(parameter(environ, "sid"))
        if session is not None and session.upgraded and "HTTP_UPGRADE" in environ and self._may_open(environ):
            return session._upgrade_websocket(environ, start_response)
        return super().handle_request(environ, start_response)

    def _may_open(self, environ: Environ) -> bool:
        allowed = self._cors_allowed_origins(environ)
        return not environ.get("HTTP_ORIGIN") or allowed is None or environ["HTTP_ORIGIN"] in allowed

    def _ok(self, packets: Any = None, headers: Any = None, jsonp_index: int | None = None) -> Any:
        answer = super()._ok(packets, headers, jsonp_index)
        return answer if packets is not None else {**answer, "response": b"ok"}

    def _bad_request(self, message: str | None = None) -> Any:
        refusal = bad_request(3, "Bad request" if message is None else message)
        return {"status": refusal.status, "headers": refusal.headers, "response": refusal.encode()}

    def _log_error_once(self, message: str, message_key: str) -> None:  # noqa: ARG002
        self.logger.info(message)


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
        socket = self.eio.sockets.get(eio_sid)
        if socket is not None and pkt.packet_type in (CONNECT, CONNECT_ERROR):
            socket.count_answer(joined=pkt.packet_type == CONNECT)

    def _handle_connect(self, eio_sid: str, namespace: str | None, data: object) -> None:
        proceed = partial(super()._handle_connect, eio_sid, namespace, data)
        self._admission.when_decided(eio_sid, data, proceed, lambda: eio_sid not in self.eio.sockets)

    def _handle_eio_message(self, eio_sid: str, data: object) -> None:
        socket = self.eio.sockets.get(eio_sid)
        if socket is None:
            return
        try:
            kind = socket.inbound.take(data)
            if kind == CONNECT and not socket.allows_connect():
                return
            if kind in (CONNECT, DISCONNECT):
                super()._handle_eio_message(eio_sid, data)
            else:
                self.ignore(eio_sid, data)
        except Exception as error:  # noqa: BLE001 - the library would log a traceback for each packet that is none
            socket.reject(error)

    def ignore(self, eio_sid: str, data: object) -> None:
        """Take a whole packet that is neither CONNECT nor DISCONNECT, or an attachment: this server only sends."""

    def _engineio_server_class(self) -> type[EngineServer]:
        return EngineServer
