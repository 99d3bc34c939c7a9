"""The server's side of a WebSocket: reads by callback, writes without waiting, needs no greenlet.

wsproto parses the frames. Everything for the client, events and the library's packets, goes through
:meth:`WebSocketConnection.write` or its variants, so there is one order.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections import deque
from typing import Protocol

from wsproto.frame_protocol import CloseReason, FrameProtocol, Opcode, ParseFailed

from rag_pipeline.broadcast.encoding import PacketBatch, frame
from rag_pipeline.common import native
from rag_pipeline.socket_server.loop import Cancellable, DetachedConnection, Environ, Loop
from rag_pipeline.socket_server.rate_limit import RateLimit

READ_BYTES = 1 << 14
FRAMES_A_TURN = 4
POLICY_VIOLATION = CloseReason.POLICY_VIOLATION
CLOSE_TIMEOUT_SECONDS = 5
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def handshake(environ: Environ) -> bytes | None:
    """Return the answer that opens the WebSocket (RFC 6455, section 4.2.2), None if the request is invalid.

    The first offered subprotocol is chosen: browsers fail a connection if none was.
    """
    key = environ.get("HTTP_SEC_WEBSOCKET_KEY", "").strip()
    upgrade = environ.get("HTTP_UPGRADE", "").lower()
    connection = [part.strip() for part in environ.get("HTTP_CONNECTION", "").lower().split(",")]
    try:
        valid_key = len(base64.b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        valid_key = False
    version = environ.get("HTTP_SEC_WEBSOCKET_VERSION")
    if not valid_key or version != "13" or upgrade != "websocket" or "upgrade" not in connection:
        return None
    accept = base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest())
    offered = environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL", "").split(",")[0].strip()
    chosen = f"Sec-WebSocket-Protocol: {offered}\r\n".encode() if _TOKEN.fullmatch(offered) else b""
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n" + chosen + b"\r\n"
    )


class WebSocketOwner(Protocol):
    """Handles the events of a connection."""

    def on_message(self, message: str | bytes) -> None:
        """Handle a complete message."""
        ...

    def on_lost(self) -> None:
        """Handle the end of the connection; called once, and not after the owner has closed it."""
        ...

    def on_overflow(self, backlog_bytes: int) -> None:
        """Handle a backlog over its bound; the connection was aborted before this call."""
        ...


class WebSocketConnection:
    """A WebSocket on a connected, non-blocking descriptor, which it owns.

    ``limit`` bounds the backlog in bytes, ``max_message`` the size of a message from the client, and ``rate_limit`` the
    number of frames, or parts of frames, from the client.
    """

    __slots__ = (
        "__weakref__", "_backlog", "_closing", "_deadline", "_fd", "_frames", "_limit", "_loop", "_max_message",
        "_message", "_message_bytes", "_on_closed", "_owner", "_paced_bytes", "_rate_limit", "_reader", "_ready",
        "_writer", "backlog_bytes",
    )  # fmt: skip

    def __init__(
        self,
        loop: Loop,
        connection: DetachedConnection,
        owner: WebSocketOwner,
        *,
        limit: int,
        max_message: int,
        rate_limit: RateLimit | None = None,
    ) -> None:
        self._loop = loop
        self._fd, self._on_closed = connection
        self._rate_limit = rate_limit or RateLimit()
        self._owner: WebSocketOwner | None = owner
        self._limit = limit
        self._max_message = max_message
        self._frames = FrameProtocol(client=False, extensions=[])
        self._message: list[str | bytes] = []
        self._message_bytes = 0
        self._backlog: deque[bytes] | None = None
        self.backlog_bytes = 0
        self._paced_bytes = 0  # the part of backlog_bytes that does not count against the bound
        self._writer: Cancellable | None = None
        self._closing = False
        self._ready = True  # open, and no backlog: a write goes to the socket at once
        self._deadline: Cancellable | None = None
        self._reader: Cancellable | None = loop.watch_read(self._fd, self._on_readable)

    @property
    def closed(self) -> bool:
        """Whether writes are ignored."""
        return self._fd < 0 or self._closing

    # -- writing ---------------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send whole frames after everything written before; the backlog keeps what the socket does not take."""
        if self._ready:
            sent = native.send(self._fd, data, len(data), native.SEND_FLAGS)
            if sent != len(data):
                self._keep_unsent(data, sent)
        elif not self.closed:
            self._append(data)

    def write_batch(self, batch: PacketBatch) -> None:
        """Send the frames of a batch; a copy of :meth:`write`, because this is the service's hottest call."""
        data = batch.wire
        if self._ready:
            sent = native.send(self._fd, data, len(data), native.SEND_FLAGS)
            if sent != len(data):
                self._keep_unsent(data, sent)
        elif not self.closed:
            self._append(data)

    def write_paced(self, data: bytes) -> None:
        """Send whole frames as :meth:`write` does; they don't count against the bound."""
        # Added before the write, because all of it may stay in the backlog. The caller sends paced data only while
        # little else waits, so bytes that the client takes are subtracted from the paced ones.
        before = self.backlog_bytes
        self._paced_bytes += len(data)
        self.write(data)
        self._paced_bytes = max(0, self._paced_bytes - len(data) + self.backlog_bytes - before)

    def _keep_unsent(self, data: bytes, sent: int) -> None:
        """Append the unsent part to the backlog, unless the connection is broken."""
        if sent < 0 and native.send_failed():
            self._lose()
        else:
            self._append(data[sent:] if sent > 0 else data)

    def _append(self, data: bytes) -> None:
        if self._backlog is None:
            self._ready = False
            self._backlog = deque()
            self._writer = self._loop.watch_write(self._fd, self._on_writable)
        self._backlog.append(data)
        self.backlog_bytes += len(data)
        if self.backlog_bytes - self._paced_bytes > self._limit:
            backlog_bytes, owner = self.backlog_bytes, self._owner
            self.abort()
            if owner is not None:
                owner.on_overflow(backlog_bytes)

    def _on_writable(self) -> None:
        while self._backlog:
            data = self._backlog[0]
            sent = native.send(self._fd, data, len(data), native.SEND_FLAGS)
            if sent < 0:
                if native.send_failed():
                    self._lose()
                return
            self.backlog_bytes -= sent
            self._paced_bytes = max(0, self._paced_bytes - sent)
            if sent < len(data):
                self._backlog[0] = data[sent:]
                return
            self._backlog.popleft()
        self._backlog = None
        if self._writer is not None:
            self._writer.cancel()
            self._writer = None
        if self._closing:
            self._release()
        else:
            self._ready = True

    # -- reading ---------------------------------------------------------------------------------------------------

    def _on_readable(self) -> None:
        try:
            data = native.recv_nowait(self._fd, READ_BYTES)
        except ConnectionError:
            data = b""
        if data is None:
            return
        if not data:
            self._lose()
            return
        self._frames.receive_bytes(data)
        self._handle_frames()

    def _handle_frames(self) -> None:
        """Handle a few frames; the rest in the loop's next turn, so that it serves others in between."""
        handled = 0
        try:
            for part in self._frames.received_frames():
                if not self._rate_limit.take():
                    self.fail(POLICY_VIOLATION)
                    return
                if not self._on_frame(part.opcode, part.payload, part.message_finished):
                    return
                handled += 1
                if handled == FRAMES_A_TURN:
                    self._stop_reading()
                    self._reader = self._loop.call_later(0, self._resume_reading)
                    return
        except ParseFailed as error:
            self.fail(error.code)

    def _resume_reading(self) -> None:
        self._reader = self._loop.watch_read(self._fd, self._on_readable)
        self._handle_frames()

    def _on_frame(self, opcode: Opcode, payload: str | bytes | tuple[int, str], finished: bool) -> bool:
        """Handle one frame or a part of one; return whether reading continues."""
        if opcode is Opcode.CLOSE:
            self.write(frame(Opcode.CLOSE, b""))
            self._lose()
        elif opcode is Opcode.PING:
            assert not isinstance(payload, (str, tuple))
            self.write(frame(Opcode.PONG, bytes(payload)))
        elif opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONTINUATION):
            assert not isinstance(payload, tuple)
            self._message.append(payload if isinstance(payload, str) else bytes(payload))
            self._message_bytes += len(payload)
            if self._message_bytes > self._max_message:
                self.fail(CloseReason.MESSAGE_TOO_BIG)
            elif finished:
                self._deliver()
        return self._fd >= 0 and not self._closing

    def _deliver(self) -> None:
        parts, self._message, self._message_bytes = self._message, [], 0
        owner = self._owner
        if owner is None:
            return
        if isinstance(parts[0], str):
            owner.on_message("".join(p for p in parts if isinstance(p, str)))
        else:
            owner.on_message(b"".join(p for p in parts if isinstance(p, bytes)))

    def fail(self, code: int) -> None:
        """Send a close frame with the code and close at once; calls ``on_lost``."""
        self.write(frame(Opcode.CLOSE, int(code).to_bytes(2, "big")))
        self._lose()

    # -- the end ---------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Send a close frame behind the backlog, then close; the owner is not called any more.

        A peer that does not take the backlog in :data:`CLOSE_TIMEOUT_SECONDS` is cut off.
        """
        if self.closed:
            return
        self.write(frame(Opcode.CLOSE, int(CloseReason.NORMAL_CLOSURE).to_bytes(2, "big")))
        self._owner = None
        self._closing = True
        self._ready = False
        self._stop_reading()
        if self._backlog is None:
            self._release()
        else:
            self._deadline = self._loop.call_later(CLOSE_TIMEOUT_SECONDS, self._release)

    def abort(self) -> None:
        """Close at once and drop the backlog; the owner is not called any more."""
        self._owner = None
        self._release()

    def _lose(self) -> None:
        owner = self._owner
        self.abort()
        if owner is not None:
            owner.on_lost()

    def _stop_reading(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            self._reader = None

    def _release(self) -> None:
        self._ready = False
        self._stop_reading()
        if self._writer is not None:
            self._writer.cancel()
            self._writer = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self._backlog = None
        self.backlog_bytes = self._paced_bytes = 0
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            native.hang_up(fd)
            self._on_closed()
