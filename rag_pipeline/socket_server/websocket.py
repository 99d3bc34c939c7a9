"""One WebSocket on the server's side: reads by callback, writes without waiting, no greenlet of its own.

Frames are parsed by wsproto. Everything that goes to the client, the fan-out's and the library's own, passes through
:meth:`WebSocketConnection.write`, so that there is one order.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections import deque

from wsproto.frame_protocol import CloseReason, FrameProtocol, Opcode, ParseFailed

from rag_pipeline.broadcast.encoding import Batch, frame
from rag_pipeline.common import native
from rag_pipeline.socket_server.allowance import Allowance
from rag_pipeline.socket_server.loop import Cancellable, Detached, Environ, Loop

READ_BYTES = 1 << 14
FRAMES_A_TURN = 4
POLICY_VIOLATION = CloseReason.POLICY_VIOLATION
CLOSE_TIMEOUT_SECONDS = 5
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def handshake(environ: Environ) -> bytes | None:
    """Return the answer that opens the WebSocket (RFC 6455, section 4.2.2), None if the request is not a valid one.

    Of subprotocols that are offered the first is chosen: browsers fail a connection on which none was.
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


class Receiver:
    """What a connection tells its owner."""

    __slots__ = ()

    def on_message(self, message: str | bytes) -> None:
        """A whole message came."""
        raise NotImplementedError

    def on_lost(self) -> None:
        """The connection is over; called once, not when the owner closed it."""
        raise NotImplementedError

    def on_overflow(self, backlog_bytes: int) -> None:
        """The backlog is over its bound; the connection was cut before this call."""
        raise NotImplementedError


class WebSocketConnection:
    """Owns a connected, non-blocking descriptor.

    ``limit`` bounds the bytes that wait for a client which reads too slowly; ``max_message`` what it may send at once,
    and ``allowance`` how many frames, or parts of frames, in the long run.
    """

    __slots__ = (
        "__weakref__", "_allowance", "_backlog", "_closed", "_closing", "_deadline", "_fd", "_frames", "_limit",
        "_loop", "_max_message", "_message", "_message_bytes", "_paced_bytes", "_reader", "_ready", "_receiver",
        "_writer", "backlog_bytes",
    )  # fmt: skip

    def __init__(
        self,
        loop: Loop,
        connection: Detached,
        receiver: Receiver,
        *,
        limit: int,
        max_message: int,
        allowance: Allowance | None = None,
    ) -> None:
        self._loop = loop
        self._fd, self._closed = connection
        self._allowance = allowance or Allowance()
        self._receiver: Receiver | None = receiver
        self._limit = limit
        self._max_message = max_message
        self._frames = FrameProtocol(client=False, extensions=[])
        self._message: list[str | bytes] = []
        self._message_bytes = 0
        self._backlog: deque[bytes] | None = None
        self.backlog_bytes = 0
        self._paced_bytes = 0  # of those, what does not count against the bound
        self._writer: Cancellable | None = None
        self._closing = False
        self._ready = True  # open, and nothing waits: what is written now goes to the socket
        self._deadline: Cancellable | None = None
        self._reader: Cancellable | None = loop.watch_read(self._fd, self._on_readable)

    @property
    def closed(self) -> bool:
        """Whether nothing can be written any more."""
        return self._fd < 0 or self._closing

    # -- writing ---------------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send whole frames after everything written before; what the socket does not take now waits its turn."""
        if self._ready:
            sent = native.send(self._fd, data, len(data), native.SEND_FLAGS)
            if sent != len(data):
                self._took(data, sent)
        elif not self.closed:
            self._append(data)

    def write_batch(self, batch: Batch) -> None:
        """Send the frames of a batch: as :meth:`write`, spelled out once more for the service's hottest call."""
        data = batch.wire
        if self._ready:
            sent = native.send(self._fd, data, len(data), native.SEND_FLAGS)
            if sent != len(data):
                self._took(data, sent)
        elif not self.closed:
            self._append(data)

    def write_paced(self, data: bytes) -> None:
        """Send whole frames as :meth:`write` does; they don't count against the bound."""
        # First, since all of it may wait. What counts and waits ahead of it is little: whoever paces sees to that. So
        # what the client takes is reckoned to be of this.
        waited = self.backlog_bytes
        self._paced_bytes += len(data)
        self.write(data)
        self._paced_bytes = max(0, self._paced_bytes - len(data) + self.backlog_bytes - waited)

    def _took(self, data: bytes, sent: int) -> None:
        """The socket took a part, or nothing: the rest waits, unless the connection is broken."""
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
            waiting, receiver = self.backlog_bytes, self._receiver
            self.abort()
            if receiver is not None:
                receiver.on_overflow(waiting)

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
        self._take_frames()

    def _take_frames(self) -> None:
        """Take a few frames; the rest in the loop's next turn, so that it gets to the others in between."""
        taken = 0
        try:
            for part in self._frames.received_frames():
                if not self._allowance.take():
                    self.fail(POLICY_VIOLATION)
                    return
                if not self._on_frame(part.opcode, part.payload, part.message_finished):
                    return
                taken += 1
                if taken == FRAMES_A_TURN:
                    self._stop_reading()
                    self._reader = self._loop.call_later(0, self._go_on)
                    return
        except ParseFailed as error:
            self.fail(error.code)

    def _go_on(self) -> None:
        self._reader = self._loop.watch_read(self._fd, self._on_readable)
        self._take_frames()

    def _on_frame(self, opcode: Opcode, payload: str | bytes | tuple[int, str], finished: bool) -> bool:
        """Take one frame or a part of one; return whether reading goes on."""
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
        receiver = self._receiver
        if receiver is None:
            return
        if isinstance(parts[0], str):
            receiver.on_message("".join(p for p in parts if isinstance(p, str)))
        else:
            receiver.on_message(b"".join(p for p in parts if isinstance(p, bytes)))

    def fail(self, code: int) -> None:
        """Tell the client why, and close at once; the owner is told that the connection is over."""
        self.write(frame(Opcode.CLOSE, int(code).to_bytes(2, "big")))
        self._lose()

    # -- the end ---------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Send a close frame behind what waits, then close; the owner is told nothing more.

        A peer that does not take what waits in :data:`CLOSE_TIMEOUT_SECONDS` is cut off.
        """
        if self.closed:
            return
        self.write(frame(Opcode.CLOSE, int(CloseReason.NORMAL_CLOSURE).to_bytes(2, "big")))
        self._receiver = None
        self._closing = True
        self._ready = False
        self._stop_reading()
        if self._backlog is None:
            self._release()
        else:
            self._deadline = self._loop.call_later(CLOSE_TIMEOUT_SECONDS, self._release)

    def abort(self) -> None:
        """Close at once and drop what waits; the owner is told nothing more."""
        self._receiver = None
        self._release()

    def _lose(self) -> None:
        receiver = self._receiver
        self.abort()
        if receiver is not None:
            receiver.on_lost()

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
            self._closed()
