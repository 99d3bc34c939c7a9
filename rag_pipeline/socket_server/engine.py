"""The Engine.IO and Socket.IO servers of the direct path: the libraries' own, with hooks.

The hooks and their reasons: :mod:`rag_pipeline.socket_server.library_hooks`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import WeakSet

import engineio
import socketio
from engineio import packet as eio_packet
from socketio.packet import CONNECT, CONNECT_ERROR, DISCONNECT

from rag_pipeline.socket_server.authorization import Authorizer
from rag_pipeline.socket_server.error_answers import bad_request, query_parameter
from rag_pipeline.socket_server.loop import Environ, Loop, StartResponse
from rag_pipeline.socket_server.schedulers import PingScheduler, PollScheduler
from rag_pipeline.socket_server.session import EngineSession
from rag_pipeline.socket_server.websocket import WebSocketConnection

KEPT_ENVIRON = ("REMOTE_ADDR", "REMOTE_PORT", "HTTP_ORIGIN", "HTTP_USER_AGENT", "HTTP_X_FORWARDED_FOR", "QUERY_STRING")


class EngineServer(engineio.Server):  # type: ignore[misc]  # the library has no types
    """An Engine.IO server whose WebSockets use the loop's callbacks.

    Once ``stopping`` is set, new sessions are refused.
    """

    loop: Loop
    backlog_limit_bytes: int
    count_overflow: Callable[[str, int], None]

    def __init__(self, **options: Any) -> None:
        self.loop = options.pop("loop")
        self.backlog_limit_bytes = options.pop("backlog_limit_bytes")
        self.count_overflow = options.pop("count_overflow")
        super().__init__(monitor_clients=False, **options)
        self.stopping = False
        self.pings = PingScheduler(self.loop, self.ping_interval, self.ping_timeout, self.reason.PING_TIMEOUT)
        self.polls = PollScheduler(self.loop)
        self._closing: WeakSet[WebSocketConnection] = WeakSet()

    def close_after_backlog(self, connection: WebSocketConnection) -> None:
        """Close the connection once the client has taken its backlog, within a bounded time."""
        connection.close()
        if connection.backlog_bytes:
            self._closing.add(connection)

    def abort_closing(self) -> None:
        """Cut off the clients that have not taken their backlog."""
        for connection in list(self._closing):
            connection.abort()

    def _handle_connect(
        self, environ: Environ, start_response: StartResponse, transport: str, jsonp_index: int | None = None
    ) -> Any:
        if self.stopping:
            return {"status": "503 Service Unavailable", "headers": [], "response": b"the service is stopping"}
        sid = self.generate_id()
        session = EngineSession(self, sid)
        self.sockets[sid] = session
        session.send(
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
        session.schedule_ping()
        if transport != "websocket":
            session.connected = True
            return self._ok(session.poll(), jsonp_index=jsonp_index)
        answer = session._upgrade_websocket(environ, start_response)
        if not session.connected:
            session.close(abort=True, reason=self.reason.TRANSPORT_ERROR)
        return answer

    def handle_request(self, environ: Environ, start_response: StartResponse) -> Any:
        """Answer one request."""
        session = self.sockets.get(query_parameter(environ, "sid"))
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


class RoomlessManager(socketio.Manager):  # type: ignore[misc]  # the library has no types
    """Keeps the clients of each namespace, without a room for each client."""

    def pre_connect(self, eio_sid: str, namespace: str) -> str | None:
        """Return a new id for a client that asks for the namespace; None if it has joined already."""
        if self.sid_from_eio_sid(eio_sid, namespace) is not None:
            return None
        sid: str = self.server.eio.generate_id()
        self.basic_enter_room(sid, namespace, None, eio_sid=eio_sid)
        self.pending_connect.setdefault(namespace, []).append(sid)
        return sid


class SocketIOServer(socketio.Server):  # type: ignore[misc]  # the library has no types
    """A Socket.IO server on :class:`EngineServer`.

    ``pids`` holds, by session id, the pid that CONNECT tells a client with Socket.IO's connection state recovery.
    """

    def __init__(self, **options: Any) -> None:
        self._authorizer: Authorizer = options.pop("authorizer")
        super().__init__(client_manager=RoomlessManager(), **options)
        self.pids: dict[str, str] = {}

    def _send_packet(self, eio_sid: str, pkt: Any) -> None:
        if pkt.packet_type == CONNECT and (pid := self.pids.pop(pkt.data["sid"], None)) is not None:
            pkt.data["pid"] = pid
        super()._send_packet(eio_sid, pkt)
        session = self.eio.sockets.get(eio_sid)
        if session is not None and pkt.packet_type in (CONNECT, CONNECT_ERROR):
            session.count_connect_answer(joined=pkt.packet_type == CONNECT)

    def _handle_connect(self, eio_sid: str, namespace: str | None, data: object) -> None:
        proceed = partial(super()._handle_connect, eio_sid, namespace, data)
        self._authorizer.when_decidable(eio_sid, data, proceed, lambda: eio_sid not in self.eio.sockets)

    def _handle_eio_message(self, eio_sid: str, data: object) -> None:
        session = self.eio.sockets.get(eio_sid)
        if session is None:
            return
        try:
            kind = session.packet_reader.read(data)
            if kind == DISCONNECT or (kind == CONNECT and session.allows_connect()):
                super()._handle_eio_message(eio_sid, data)
            # This server only sends: all other valid packets are ignored.
        except Exception as error:  # noqa: BLE001 - the library would log a traceback for each invalid packet
            session.reject(error)

    def _engineio_server_class(self) -> type[EngineServer]:
        return EngineServer
