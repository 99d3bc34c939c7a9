"""One connection to one namespace of a Socket.IO server.

Built on the library's Engine.IO client and packet codec, not on its Socket.IO client. That one does not reconnect after
a server-side disconnect, retries for ever after a refusal, and runs each event handler on its own thread, so events
arrive in no order. Reconnecting is decided in :mod:`rag_pipeline.client.reconnector`.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import engineio
import requests
from socketio import packet as packets

from rag_pipeline.client.failures import failure_reason, refusal_error
from rag_pipeline.client.service_url import ServiceUrl
from rag_pipeline.contract.events import NS_ROOT, Json
from rag_pipeline.errors import UnreachableError

JOIN_SECONDS = 2.0

Receive = Callable[[str, Json], None]

# At INFO the library logs packet bodies.
_logger = logging.getLogger("rag_pipeline.client.library")
_logger.setLevel(logging.CRITICAL)


class Connection:
    """Connects with the first transport that the server accepts; calls ``receive`` with each event, in order.

    Uses ``threading`` as the library does: in a monkey-patched program all of its threads are green ones.
    """

    def __init__(self, url: ServiceUrl, namespace: str, session: requests.Session, receive: Receive) -> None:
        self._url = url
        self._namespace = namespace
        self._session = session
        self._receive = receive
        self._engine: Any = None
        self._answered = threading.Event()  # CONNECT or CONNECT_ERROR came, or the connection ended
        self._ended = threading.Event()
        self._refusal: object = None
        self._accepted = False
        self.reason = "the connection was lost"

    def open(self, auth: Mapping[str, str], transports: Sequence[str], timeout_seconds: float) -> None:
        """Connect; raises UnreachableError, or AccessDeniedError if the server refuses the namespace."""
        self._connect_engine(transports, timeout_seconds)
        self._engine.send(packets.Packet(packets.CONNECT, data=dict(auth), namespace=self._namespace).encode())
        answered = self._answered.wait(timeout_seconds)
        if self._accepted:
            return
        self.close()
        if self._refusal is not None:
            raise refusal_error(self._namespace, self._refusal)
        raise UnreachableError(self.reason if answered else "no answer in time")

    def wait(self, timeout_seconds: float) -> bool:
        """Wait until the connection has ended, at most ``timeout_seconds``; return whether it has."""
        return self._ended.wait(timeout_seconds)

    def interrupt(self) -> None:
        """End all waits and receive nothing more; callable from any thread."""
        self._end("the client was closed")

    def close(self) -> None:
        """Disconnect within a bounded time; idempotent."""
        self._end("the client was closed")
        engine, self._engine = self._engine, None
        if engine is None:
            return
        if engine.current_transport == "websocket" and engine.ws is not None:
            # Otherwise the library waits for the server's close frame while its own reader holds the socket.
            with contextlib.suppress(OSError, AttributeError):
                engine.ws.sock.shutdown(socket.SHUT_RDWR)
        # A pending poll ends when the server answers it, which may be never.
        thread = threading.Thread(target=_disconnect, args=(engine,), name="status-client-leaving", daemon=True)
        thread.start()
        thread.join(JOIN_SECONDS)

    # -- Engine.IO -------------------------------------------------------------------------------------------------

    def _connect_engine(self, transports: Sequence[str], timeout_seconds: float) -> None:
        reasons = []
        for transport in transports:
            engine = self._new_engine(transport, timeout_seconds)
            try:
                engine.connect(str(self._url), transports=[transport], engineio_path=f"{self._url.path}/socket.io")
            except Exception as error:  # noqa: BLE001 - a response of another kind of server can break the library anywhere
                reasons.append(failure_reason(error))
                continue
            if engine.state == "connected":
                self._engine = engine
                return
        raise UnreachableError(next(iter(dict.fromkeys(reasons)), "no transport can be used"))

    def _new_engine(self, transport: str, timeout_seconds: float) -> Any:
        engine = _OrderedEngineClient(
            http_session=self._session,
            request_timeout=timeout_seconds,
            handle_sigint=False,
            logger=_logger,
            websocket_extra_options=_websocket_options() if transport == "websocket" else None,
        )
        engine.on("message", self._on_message)
        engine.on("disconnect", self._on_disconnect)
        return engine

    def _on_disconnect(self, *_reason: object) -> None:
        self._end(self.reason)

    def _on_message(self, data: object) -> None:
        if self._ended.is_set():
            return  # from a poll that was pending when the client closed
        try:
            packet = packets.Packet(encoded_packet=data)
        except Exception:  # noqa: BLE001 - as above
            self._end("the server does not speak Socket.IO")
            return
        if (packet.namespace or NS_ROOT) == self._namespace:  # packets of the root namespace omit it
            self._on_packet(packet)

    # -- Socket.IO -------------------------------------------------------------------------------------------------

    def _on_packet(self, packet: Any) -> None:
        if packet.packet_type == packets.CONNECT:
            self._accepted = True
            self._answered.set()
        elif packet.packet_type == packets.CONNECT_ERROR:
            self._refusal = packet.data or {}
            self._answered.set()
        elif packet.packet_type == packets.DISCONNECT:
            self._end("the service ended the session")
        elif packet.packet_type == packets.EVENT:
            match packet.data:
                case [str(name), dict(payload), *_]:
                    self._receive(name, payload)

    def _end(self, reason: str) -> None:
        if not self._ended.is_set():
            self.reason = reason
            self._ended.set()
            self._answered.set()


def _disconnect(engine: Any) -> None:
    websocket = engine.ws
    engine.disconnect()
    if websocket is not None:
        websocket.shutdown()  # the library leaves the socket open after a reset


def _websocket_options() -> dict[str, Any]:
    # Imported here because websocket-client is optional. A copy, because the engine removes options from it.
    from rag_pipeline.client.buffered_websocket import OPTIONS

    return dict(OPTIONS)


class _OrderedEngineClient(engineio.Client):  # type: ignore[misc]  # the library has no types
    """Handles each packet before it reads the next; the library starts a thread for each, which loses their order."""

    def _trigger_event(self, event: str, *args: Any, **kwargs: Any) -> Any:
        kwargs["run_async"] = False
        return super()._trigger_event(event, *args, **kwargs)
