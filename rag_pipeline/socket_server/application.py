"""The Socket.IO application: who may connect, what a newcomer is told, and the few plain HTTP answers beside it."""

from __future__ import annotations

import hmac
import json
import logging
import secrets
import time
from collections.abc import Iterable
from typing import Any

import socketio

from rag_pipeline.access import Guard
from rag_pipeline.access.bearer import token_of
from rag_pipeline.access.hosts import HostPolicy
from rag_pipeline.access.origins import OriginPolicy, request_scheme
from rag_pipeline.broadcast import Form, Hub, Outlet, Subscriber
from rag_pipeline.common.config import Settings
from rag_pipeline.contract import events
from rag_pipeline.socket_server import engine
from rag_pipeline.socket_server.authorization import Admission
from rag_pipeline.socket_server.gate import Gate
from rag_pipeline.socket_server.loop import ANSWER_HEADERS, Environ, Loop, StartResponse
from rag_pipeline.socket_server.outlets import DirectOutlet, LibraryOutlet
from rag_pipeline.socket_server.refusals import is_client_library, parameter
from rag_pipeline.socket_server.unjoined import LIMIT_SECONDS, MIN_SECONDS, MIN_WEBSOCKET_SECONDS, UnjoinedSessions

logger = logging.getLogger("rag_pipeline.socket")
# What the library logs at INFO holds packet bodies; its warnings are about what clients do.
_library_logger = logging.getLogger("rag_pipeline.socket.library")
_library_logger.setLevel(logging.ERROR)

MAX_INBOUND_BYTES = 1 << 14
MAX_OFFSET_LENGTH = 64
MAX_PID_LENGTH = 64
SOCKET_IO_PATH = "/socket.io/"
HEALTH_PATH = "/health"
TICK_SECONDS = 0.5
ENDED_A_TURN = 50
MAX_SESSIONS = 20_000
JOIN_SECONDS = LIMIT_SECONDS


class Application:
    """The WSGI application of the Socket.IO server and its handlers; lives on the loop's thread.

    ``direct`` says whether settled WebSockets are written to directly or through the library's own path. Where the
    guard asks for a token, ``/health`` tells more to who has ``probe_token`` alone: the service itself.
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
        self._guard = guard
        self._probe_token = probe_token
        self._hosts = hosts
        self._admission = Admission(guard, loop)
        # Apart, so that a flood of one kind does not keep the other out.
        self._unjoined = {
            name: UnjoinedSessions(self._is_joined, self._end_unjoined, seconds)
            for name, seconds in (("polling", MIN_SECONDS), ("websocket", MIN_WEBSOCKET_SECONDS))
        }
        self._sio = self._build(loop)
        self._sio.eio.on("connect", self._on_opened)
        self._sio.eio.on("disconnect", self._on_ended)
        self._socket_io = Gate(socketio.WSGIApp(self._sio), self._sio.eio, loop, self._cors, self._has_room)
        for name in events.NAMESPACE_NAMES:
            self._sio.on("connect", self._on_connect(name), namespace=name)
            self._sio.on("disconnect", self._on_disconnect(name), namespace=name)
        self._sio.on("connect", self._on_unknown, namespace="*")  # every other one

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        # Compression would cost a zlib state for each client and the same work for each of them.
        environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            return start_response(status, [*headers, *ANSWER_HEADERS], *more)

        if self._hosts is not None and (wrong := self._hosts.refusal(environ.get("HTTP_HOST"))) is not None:
            return _misdirected(environ, start, wrong)
        path = environ.get("PATH_INFO", "")
        if path.startswith(SOCKET_IO_PATH) and not is_client_library(path, SOCKET_IO_PATH):
            return self._socket_io(environ, start)
        return self._plain(environ, start)

    def start(self) -> None:
        """Begin to end clients whose time is over; on the loop's thread."""
        self._tick()

    def _tick(self) -> None:
        self._loop.call_later(TICK_SECONDS, self._tick)
        self._end_expired()
        for sessions in self._unjoined.values():
            sessions.turn(time.monotonic(), JOIN_SECONDS)

    def _end_expired(self) -> None:
        expired = self._admission.expired(time.time(), ENDED_A_TURN)
        if (
            len(expired) == ENDED_A_TURN
        ):  # tokens of one hour may end in one second: the others get their turns in between
            self._loop.call_later(0, self._end_expired)
        for sid, name in expired:
            try:
                # DISCONNECT: one that is told so does not come back by itself.
                self._sio.disconnect(sid, namespace=name)
            except Exception:
                logger.exception("client %s in %s, whose token has expired, could not be disconnected", sid, name)

    def _is_joined(self, client: str) -> bool:
        find = self._sio.manager.sid_from_eio_sid
        return any(find(client, name) is not None for name in events.NAMESPACE_NAMES)

    def _has_room(self, transport: str) -> bool:
        """Return whether one more session may be opened over the transport."""
        # A session on polling holds no connection that would bound it, whether it has joined or not.
        if transport == "polling" and len(self._sio.eio.sockets) >= MAX_SESSIONS:
            return False
        return self._unjoined[transport].has_room(time.monotonic())

    def make_room(self) -> bool:
        """End the oldest WebSocket that has joined nothing; False if there is none."""
        return self._unjoined["websocket"].end_oldest(time.monotonic())

    def _on_opened(self, client: str, environ: Environ) -> Any:
        self._unjoined[self._transport(environ)].add(client, time.monotonic())
        return self._sio._handle_eio_connect(client, environ)

    def _on_ended(self, client: str, reason: str) -> Any:
        answer = self._sio._handle_eio_disconnect(client, reason)
        for sessions in self._unjoined.values():
            sessions.discard(client)
        return answer

    @staticmethod
    def _transport(environ: Environ) -> str:
        return "websocket" if parameter(environ, "transport") == "websocket" else "polling"

    def _end_unjoined(self, client: str) -> None:
        socket = self._sio.eio.sockets.get(client)
        if socket is not None and not socket.closed:
            logger.info("client %s is disconnected: it has joined no namespace", client)
            socket.close(wait=False)

    def finish(self) -> None:
        """Say goodbye to every client, so that each knows at once and connects elsewhere or later."""
        if self._direct:
            self._sio.eio.finishing = True
        for socket in list(self._sio.eio.sockets.values()):
            try:
                if not self._direct:
                    # CLOSE behind events in one answer would have socket.io-client show these twice.
                    socket.close(wait=False, abort=not socket.upgraded and not socket.queue.empty())
                elif not socket.linger():
                    socket.close(wait=False)
            except Exception:
                logger.exception("client %s could not be closed", socket.sid)

    def lingering(self) -> bool:
        """Return whether a client between two polls has not fetched what waits for it."""
        return self._direct and any(socket.waits for socket in self._sio.eio.sockets.values())

    def abandon(self) -> None:
        """Cut off the clients that did not take their goodbye in time."""
        if self._direct:
            self._sio.eio.abandon()

    def _build(self, loop: Loop) -> Any:
        options: dict[str, Any] = {
            "async_mode": "eventlet",
            "async_handlers": False,
            # All of them, since the library would refuse an unknown one without a reason: see _on_unknown.
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
        return engine.SocketIOServer(
            **options,
            loop=loop,
            admission=self._admission,
            backlog_limit_bytes=self._settings.backlog_limit_bytes,
            count_overflow=self._count_overflow,
        )

    def _allows(self, origin: str | None, environ: Environ) -> bool:
        if origin is None:
            return False
        scheme = request_scheme(environ.get("HTTP_X_FORWARDED_PROTO"))
        return self._policy.allows(origin, host=environ.get("HTTP_HOST"), scheme=scheme)

    def _cors(self, environ: Environ) -> list[tuple[str, str]]:
        """Return what lets a page of an allowed origin read an answer that says what is wrong."""
        origin = environ.get("HTTP_ORIGIN")
        return [("Access-Control-Allow-Origin", origin)] if origin and self._allows(origin, environ) else []

    def _on_unknown(self, name: str, _sid: str, _environ: Environ, _auth: object) -> None:
        self._admission.refuse_unknown(name)

    def _on_connect(self, name: str) -> Any:
        def on_connect(sid: str, environ: Environ, auth: object) -> bool | None:
            if not self._sio.manager.is_pre_connected(sid, name):
                return None  # an event of the client's own that it named so
            client = self._sio.manager.eio_sid_from_sid(sid, name)
            if not self._direct:
                self._admission.wait(auth, self._sio.sleep)
                if client not in self._sio.eio.sockets:
                    return False  # it left meanwhile
            self._admission.admit(sid, name, auth, environ)
            # The library sends CONNECT when this returns; the hub welcomes the newcomer after that, in its next turn.
            told = auth if isinstance(auth, dict) else {}
            offset, form = told.get("offset"), Form.PLAIN
            if told.get("recovery") is True and self._direct:
                form = Form.RESUMABLE
                self._sio.pids[sid] = self._pid(told.get("pid"), offset)
            outlet = self._outlet(client, name)
            asked = None if offset is None else str(offset)[:MAX_OFFSET_LENGTH]
            self._hub.join(Subscriber(sid, client, name, outlet, form=form, offset=asked))
            for sessions in self._unjoined.values():
                sessions.discard(client)
            return None

        return on_connect

    def _pid(self, pid: object, offset: object) -> str:
        """Return the pid for CONNECT: the client's own tells it that it has recovered, a new one that it has not."""
        if isinstance(pid, str) and 0 < len(pid) <= MAX_PID_LENGTH and self._hub.can_resume(offset):
            return pid
        return secrets.token_hex(8)

    def _on_disconnect(self, name: str) -> Any:
        namespace = events.resolve_namespace(name)

        def on_disconnect(sid: str, _reason: str) -> None:
            self._admission.forget(sid, name)
            self._hub.leave(sid, namespace)
            client = self._sio.manager.eio_sid_from_sid(sid, name)
            if client in self._sio.eio.sockets:
                # It may be in other namespaces still: that is looked at when its time is over.
                transport = self._sio.eio.transport(client)
                self._unjoined[transport].add(client, time.monotonic())

        return on_disconnect

    def _outlet(self, client: str, name: str) -> Outlet:
        if self._direct:
            return DirectOutlet(self._sio.eio.sockets[client], name)
        return LibraryOutlet(self._sio.eio, client, self._settings.backlog_limit_bytes, self._count_overflow)

    def _count_overflow(self, client: str, backlog_bytes: int) -> None:
        self._hub.count_dropped()
        limit = self._settings.backlog_limit_bytes
        logger.warning("client %s is disconnected: %d bytes wait for it, over %d", client, backlog_bytes, limit)

    def _plain(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer what is not Socket.IO: the proof of life for ``/health`` of the other server, and errors."""
        path = environ.get("PATH_INFO", "")
        body: dict[str, object]
        status, body = "404 Not Found", {"error": f"there is no {path[:200]!r} here; Socket.IO is at {SOCKET_IO_PATH}"}
        if is_client_library(path, SOCKET_IO_PATH):
            body = {"error": "the client library is not served here; take socket.io-client from npm or a CDN"}
        headers = [("Content-Type", "application/json; charset=utf-8")]
        if path.rstrip("/") == HEALTH_PATH:
            if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
                status, body = "200 OK", {"status": "ok"}
                if self._may_count(environ):
                    body |= {"clients": self._hub.clients(), "clients_dropped": self._hub.clients_dropped}
            else:
                status, body = "405 Method Not Allowed", {"error": "this address answers GET and HEAD"}
                headers.append(("Allow", "GET, HEAD"))
        text = json.dumps(body).encode()
        start_response(status, [*headers, ("Content-Length", str(len(text)))])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [text]

    def _may_count(self, environ: Environ) -> bool:
        """Return whether the request may know how many clients there are."""
        shown = (token_of(environ.get("HTTP_AUTHORIZATION")) or "").encode(errors="replace")
        return not self._guard.required or hmac.compare_digest(shown, self._probe_token.encode())


def _misdirected(environ: Environ, start_response: StartResponse, wrong: str) -> Iterable[bytes]:
    """Answer a request under a name that is not the service's, before it gets anywhere."""
    text = json.dumps({"code": 3, "message": wrong}).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(text)))]
    start_response("421 Misdirected Request", headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [text]
