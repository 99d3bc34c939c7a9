"""The Socket.IO application: sessions, namespaces and their subscribers."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Iterable
from typing import Any

import socketio

from rag_pipeline.access import Guard
from rag_pipeline.access.hosts import HostPolicy
from rag_pipeline.access.origins import OriginPolicy, request_scheme
from rag_pipeline.broadcast import Form, Hub, Outlet, Subscriber
from rag_pipeline.common.config import Settings
from rag_pipeline.contract import events
from rag_pipeline.socket_server.authorization import Authorizer
from rag_pipeline.socket_server.error_answers import is_client_library, query_parameter
from rag_pipeline.socket_server.gate import RequestGate
from rag_pipeline.socket_server.loop import ANSWER_HEADERS, Environ, Headers, Loop, StartResponse
from rag_pipeline.socket_server.outlets import DirectOutlet, LibraryOutlet
from rag_pipeline.socket_server.plain_http import SOCKET_IO_PATH, PlainHttp, misdirected
from rag_pipeline.socket_server.unjoined import LIMIT_SECONDS, MIN_SECONDS, MIN_WEBSOCKET_SECONDS, UnjoinedSessions

logger = logging.getLogger("rag_pipeline.socket")
# The library logs packet bodies at INFO, and warnings about mistakes of clients.
_library_logger = logging.getLogger("rag_pipeline.socket.library")
_library_logger.setLevel(logging.ERROR)

MAX_INBOUND_BYTES = 1 << 14
MAX_OFFSET_LENGTH = 64
MAX_PID_LENGTH = 64
TICK_SECONDS = 0.5
EXPIRED_A_TURN = 50
MAX_SESSIONS = 20_000
JOIN_SECONDS = LIMIT_SECONDS


class Application:
    """The WSGI application of the Socket.IO server, and its event handlers; lives on the loop's thread.

    ``direct`` chooses between the direct path and the library path to the clients. ``probe_token`` is the service's own
    token, which shows client counts in ``/health`` if the guard asks for tokens.
    """

    def __init__(
        self,
        settings: Settings,
        policy: OriginPolicy,
        hub: Hub,
        loop: Loop,
        *,
        direct: bool,
        guard: Guard,
        probe_token: str,
        hosts: HostPolicy | None = None,
    ) -> None:
        self._settings = settings
        self._policy = policy
        self._hub = hub
        self._loop = loop
        self._direct = direct
        self._hosts = hosts
        self._authorizer = Authorizer(guard, loop)
        # One for each transport, so that a flood of one kind does not keep the other out.
        self._unjoined = {
            name: UnjoinedSessions(self._has_joined, self._close_unjoined, seconds)
            for name, seconds in (("polling", MIN_SECONDS), ("websocket", MIN_WEBSOCKET_SECONDS))
        }
        self._sio = self._build()
        self._library_on_open = self._sio.eio.handlers["connect"]
        self._library_on_close = self._sio.eio.handlers["disconnect"]
        self._sio.eio.on("connect", self._on_open)
        self._sio.eio.on("disconnect", self._on_close)
        self._plain_http = PlainHttp(hub, guard, probe_token)
        self._socket_io = RequestGate(socketio.WSGIApp(self._sio), self._sio.eio, loop, self._cors, self._has_room)
        for name in events.NAMESPACE_NAMES:
            self._sio.on("connect", self._on_connect(name), namespace=name)
            self._sio.on("disconnect", self._on_disconnect(name), namespace=name)
        self._sio.on("connect", self._on_unknown, namespace="*")  # every other one

    def _build(self) -> Any:
        options: dict[str, Any] = {
            "async_mode": "eventlet",
            "async_handlers": False,
            # All, because the library would refuse an unknown one without a reason: see _on_unknown.
            "namespaces": "*",
            "transports": list(self._settings.transports),
            "allow_upgrades": len(self._settings.transports) > 1,
            "cors_allowed_origins": self._allows,
            "cors_credentials": False,
            "ping_interval": self._settings.ping_interval_seconds,
            "ping_timeout": self._settings.ping_timeout_seconds,
            "max_http_buffer_size": MAX_INBOUND_BYTES,
            "logger": _library_logger,
            "engineio_logger": _library_logger,
        }
        if not self._direct:
            return socketio.Server(**options)
        # Imported here, because the hooks may not even import with an unchecked version of the library.
        from rag_pipeline.socket_server.engine import SocketIOServer

        return SocketIOServer(
            **options,
            loop=self._loop,
            authorizer=self._authorizer,
            backlog_limit_bytes=self._settings.backlog_limit_bytes,
            count_overflow=self._count_overflow,
        )

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        # Compression would cost a zlib state for each client, and the same work for each of them.
        environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)

        def start(status: str, headers: Headers, *more: Any) -> Any:
            return start_response(status, [*headers, *ANSWER_HEADERS], *more)

        if self._hosts is not None and (reason := self._hosts.refusal(environ.get("HTTP_HOST"))) is not None:
            return misdirected(environ, start, reason)
        path = environ.get("PATH_INFO", "")
        if path.startswith(SOCKET_IO_PATH) and not is_client_library(path, SOCKET_IO_PATH):
            return self._socket_io(environ, start)
        return self._plain_http(environ, start)

    # -- time limits -----------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Disconnect the clients whose time is over; calls itself again later."""
        self._loop.call_later(TICK_SECONDS, self.tick)
        self._disconnect_expired()
        for sessions in self._unjoined.values():
            sessions.turn(time.monotonic(), JOIN_SECONDS)

    def _disconnect_expired(self) -> None:
        expired = self._authorizer.expired(time.time(), EXPIRED_A_TURN)
        if len(expired) == EXPIRED_A_TURN:  # tokens of one hour may expire in one second: others get turns in between
            self._loop.call_later(0, self._disconnect_expired)
        for sid, name in expired:
            try:
                # DISCONNECT: after it client libraries do not reconnect by themselves.
                self._sio.disconnect(sid, namespace=name)
            except Exception:
                logger.exception("client %s in %s, whose token has expired, could not be disconnected", sid, name)

    def _has_joined(self, client: str) -> bool:
        find = self._sio.manager.sid_from_eio_sid
        return any(find(client, name) is not None for name in events.NAMESPACE_NAMES)

    def _close_unjoined(self, client: str) -> None:
        session = self._sio.eio.sockets.get(client)
        if session is not None and not session.closed:
            logger.info("client %s is disconnected: it has joined no namespace", client)
            session.close(wait=False)

    def _stop_counting_as_unjoined(self, client: str) -> None:
        for sessions in self._unjoined.values():
            sessions.discard(client)

    def _has_room(self, transport: str) -> bool:
        """Return whether one more session may be opened over the transport."""
        # Between two polls a session holds no connection, so the bound of connections does not bound these sessions.
        if transport == "polling" and len(self._sio.eio.sockets) >= MAX_SESSIONS:
            return False
        return self._unjoined[transport].has_room(time.monotonic())

    def make_room(self) -> bool:
        """Close the oldest WebSocket that has joined no namespace; False if there is none."""
        return self._unjoined["websocket"].end_oldest(time.monotonic())

    # -- sessions and namespaces -----------------------------------------------------------------------------------

    def _on_open(self, client: str, environ: Environ) -> Any:
        transport = "websocket" if query_parameter(environ, "transport") == "websocket" else "polling"
        self._unjoined[transport].add(client, time.monotonic())
        return self._library_on_open(client, environ)

    def _on_close(self, client: str, reason: str) -> Any:
        answer = self._library_on_close(client, reason)
        self._stop_counting_as_unjoined(client)
        return answer

    def _on_unknown(self, name: str, _sid: str, _environ: Environ, _auth: object) -> None:
        self._authorizer.refuse_unknown(name)

    def _on_connect(self, name: str) -> Any:
        def on_connect(sid: str, environ: Environ, auth: object) -> bool | None:
            if not self._sio.manager.is_pre_connected(sid, name):
                return None  # an event that the client itself named "connect"
            client = self._sio.manager.eio_sid_from_sid(sid, name)
            if not self._direct:
                self._authorizer.wait(auth, self._sio.sleep)
                if client not in self._sio.eio.sockets:
                    return False  # it left while it waited
            self._authorizer.admit(sid, name, auth, environ)
            # The library sends CONNECT when this returns; the hub sends the snapshot after that, in its next turn.
            self._hub.join(self._subscriber(sid, client, name, auth if isinstance(auth, dict) else {}))
            self._stop_counting_as_unjoined(client)
            return None

        return on_connect

    def _subscriber(self, sid: str, client: str, name: str, auth: dict[str, object]) -> Subscriber:
        offset, form = auth.get("offset"), Form.PLAIN
        if auth.get("recovery") is True and self._direct:
            form = Form.RESUMABLE
            self._sio.pids[sid] = self._pid(auth.get("pid"), offset)
        offset_text = None if offset is None else str(offset)[:MAX_OFFSET_LENGTH]
        return Subscriber(sid, client, name, self._outlet(client, name), form=form, offset=offset_text)

    def _pid(self, pid: object, offset: object) -> str:
        """Return the pid for CONNECT: the client's own means that it has recovered, a new one that it has not."""
        if isinstance(pid, str) and 0 < len(pid) <= MAX_PID_LENGTH and self._hub.can_resume(offset):
            return pid
        return secrets.token_hex(8)

    def _outlet(self, client: str, name: str) -> Outlet:
        if self._direct:
            return DirectOutlet(self._sio.eio.sockets[client], name)
        return LibraryOutlet(self._sio.eio, client, self._settings.backlog_limit_bytes, self._count_overflow)

    def _count_overflow(self, client: str, backlog_bytes: int) -> None:
        self._hub.count_dropped()
        limit = self._settings.backlog_limit_bytes
        logger.warning("client %s is disconnected: %d bytes wait for it, over %d", client, backlog_bytes, limit)

    def _on_disconnect(self, name: str) -> Any:
        namespace = events.resolve_namespace(name)

        def on_disconnect(sid: str, _reason: str) -> None:
            self._authorizer.forget(sid, name)
            self._hub.leave(sid, namespace)
            client = self._sio.manager.eio_sid_from_sid(sid, name)
            if client in self._sio.eio.sockets:
                # It may still be in other namespaces: that is checked when its time is over.
                transport = self._sio.eio.transport(client)
                self._unjoined[transport].add(client, time.monotonic())

        return on_disconnect

    def _allows(self, origin: str | None, environ: Environ) -> bool:
        if origin is None:
            return False
        scheme = request_scheme(environ.get("HTTP_X_FORWARDED_PROTO"))
        return self._policy.allows(origin, host=environ.get("HTTP_HOST"), scheme=scheme)

    def _cors(self, environ: Environ) -> Headers:
        """Return the headers with which a page of an allowed origin can read an error."""
        origin = environ.get("HTTP_ORIGIN")
        return [("Access-Control-Allow-Origin", origin)] if origin and self._allows(origin, environ) else []

    # -- the end ---------------------------------------------------------------------------------------------------

    def close_clients(self) -> None:
        """Send CLOSE to every client, so that each notices at once and reconnects elsewhere or later."""
        if self._direct:
            self._sio.eio.stopping = True
        for session in list(self._sio.eio.sockets.values()):
            try:
                if not self._direct:
                    # CLOSE behind events in one answer would make socket.io-client show these events twice.
                    session.close(wait=False, abort=not session.upgraded and not session.queue.empty())
                elif not session.close_after_polls():
                    session.close(wait=False)
            except Exception:
                logger.exception("client %s could not be closed", session.sid)

    def has_waiting_clients(self) -> bool:
        """Return whether packets wait for a client between two polls."""
        return self._direct and any(session.has_waiting_packets for session in self._sio.eio.sockets.values())

    def abort_clients(self) -> None:
        """Cut off the clients that have not taken their CLOSE in time."""
        if self._direct:
            self._sio.eio.abort_closing()
