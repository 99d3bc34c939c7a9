"""One connection to a Socket.IO server, in one namespace, from its start to its end.

Of the library it takes the Engine.IO client and the packets. The Socket.IO client above them reconnects by itself, but
not after a server that has said goodbye, and without end to one that has refused it; and it hands events to a thread
each, in no order. Whether to come back is for :mod:`rag_pipeline.client.client` to say.
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

from rag_pipeline.client.address import Address, reason_of
from rag_pipeline.client.refusal import refusal
from rag_pipeline.contract.events import NS_ROOT, Json
from rag_pipeline.errors import UnreachableError

JOIN_SECONDS = 2.0

Receive = Callable[[str, Json], None]

# What the library logs at INFO holds packet bodies.
_logger = logging.getLogger("rag_pipeline.client.library")
_logger.setLevel(logging.CRITICAL)


class Connection:
    """Connects by the first of the transports that the server takes; ``receive`` gets each event, in order.

    The threads are those of ``threading``, as the library's are: in a program that was monkey-patched all of them are
    green alike.
    """

    def __init__(self, address: Address, namespace: str, session: requests.Session, receive: Receive) -> None:
        self._address = address
        self._namespace = namespace
        self._session = session
        self._receive = receive
        self._engine: Any = None
        self._answered = threading.Event()  # with CONNECT or CONNECT_ERROR; or it is over
        self._ended = threading.Event()
        self._refused: object = None
        self._accepted = False
        self.reason = "the connection was lost"

    def open(self, auth: Mapping[str, str], transports: Sequence[str], timeout_seconds: float) -> None:
        """Connect; raises UnreachableError, or AccessDeniedError when the namespace was refused."""
        self._connect_engine(transports, timeout_seconds)
        self._engine.send(packets.Packet(packets.CONNECT, data=dict(auth), namespace=self._namespace).encode())
        answered = self._answered.wait(timeout_seconds)
        if self._accepted:
            return
        self.close()
        if self._refused is not None:
            raise refusal(self._namespace, self._refused)
        raise UnreachableError(self.reason if answered else "no answer in time")

    def wait(self, timeout_seconds: float) -> bool:
        """Wait until the connection is over, or for so long; return whether it is over."""
        return self._ended.wait(timeout_seconds)

    def interrupt(self) -> None:
        """End the waits under way; nothing is received any more. Callable from any thread."""
        self._end("the client was closed")

    def close(self) -> None:
        """Leave, within a bounded time; idempotent."""
        self._end("the client was closed")
        engine, self._engine = self._engine, None
        if engine is None:
            return
        if engine.current_transport == "websocket" and engine.ws is not None:
            # The library would wait for the server's goodbye while its own reader holds the socket.
            with contextlib.suppress(OSError, AttributeError):
                engine.ws.sock.shutdown(socket.SHUT_RDWR)
        # A poll under way ends when the server has answered it, which it may never do.
        leaving = threading.Thread(target=_leave, args=(engine,), name="status-client-leaving", daemon=True)
        leaving.start()
        leaving.join(JOIN_SECONDS)

    # -- Engine.IO -------------------------------------------------------------------------------------------------

    def _connect_engine(self, transports: Sequence[str], timeout_seconds: float) -> None:
        reasons = []
        for transport in transports:
            engine = self._new_engine(transport, timeout_seconds)
            try:
                engine.connect(
                    str(self._address), transports=[transport], engineio_path=f"{self._address.path}/socket.io"
                )
            except Exception as error:  # noqa: BLE001 - what another server answers can break the library anywhere
                reasons.append(reason_of(error))
                continue
            if engine.state == "connected":
                self._engine = engine
                return
        raise UnreachableError(next(iter(dict.fromkeys(reasons)), "no transport can be used"))

    def _new_engine(self, transport: str, timeout_seconds: float) -> Any:
        engine = _InOrder(
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
            return  # a poll that was under way when the client left
        try:
            packet = packets.Packet(encoded_packet=data)
        except Exception:  # noqa: BLE001 - as above
            self._end("what answers does not speak Socket.IO")
            return
        if (packet.namespace or NS_ROOT) == self._namespace:  # packets of the root do not name it
            self._on_packet(packet)

    # -- Socket.IO -------------------------------------------------------------------------------------------------

    def _on_packet(self, packet: Any) -> None:
        if packet.packet_type == packets.CONNECT:
            self._accepted = True
            self._answered.set()
        elif packet.packet_type == packets.CONNECT_ERROR:
            self._refused = packet.data or {}
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


def _leave(engine: Any) -> None:
    websocket = engine.ws
    engine.disconnect()
    if websocket is not None:
        websocket.shutdown()  # the library leaves the socket open after a reset


def _websocket_options() -> dict[str, Any]:
    # Here, since the library it builds on is optional. A copy, since the engine takes options out of it.
    from rag_pipeline.client.buffered import OPTIONS

    return dict(OPTIONS)


class _InOrder(engineio.Client):  # type: ignore[misc]  # the library has no types
    """Handles each packet before it reads the next: the library's own way is a thread for each, in no order."""

    def _trigger_event(self, event: str, *args: Any, **kwargs: Any) -> Any:
        kwargs["run_async"] = False
        return super()._trigger_event(event, *args, **kwargs)
