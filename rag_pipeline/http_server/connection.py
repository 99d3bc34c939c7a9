"""One client's connection: non-blocking reads and writes, and the writes of a stream, which wait with a deadline."""

from __future__ import annotations

import _socket
import logging
from collections.abc import Callable

from rag_pipeline.common import native
from rag_pipeline.http_server.request_head import HeadBuffer

READ_BYTES = 8192
DRAIN_BYTES = 256 * 1024
_PEEK_BYTES = 4096

logger = logging.getLogger("rag_pipeline.http")


def _wake_nothing() -> None:
    """Do nothing: the connection has no stream."""


class ClientConnection:
    """A client's socket. One thread at a time owns it: the server's waiting thread, or a worker.

    Any thread may call :meth:`end_reading` and :meth:`abort`. ``requests`` counts handled requests and ``drained`` the
    bytes dropped at the end. ``rest`` is the part of the response that is not sent yet; ``closes`` tells whether the
    connection ends after it.
    """

    def __init__(self, sock: _socket.socket, limit_bytes: int) -> None:
        sock.setblocking(False)
        # A response is one write: Nagle's algorithm has nothing to gather, and its delay would cost 40 ms.
        sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        self._sock = sock
        self.fd = sock.fileno()
        self.head = HeadBuffer(limit_bytes)
        self.requests = 0
        self.drained = 0
        self.rest = memoryview(b"")
        self.closes = False
        self._wake: Callable[[], None] = _wake_nothing

    @property
    def address(self) -> str:
        """The client's address, for the log."""
        try:
            return str(self._sock.getpeername()[0])
        except OSError:
            return "an address that is gone"

    def receive(self) -> bytes | None:
        """Return received bytes; empty at the end of the connection, None if there are none. Raises ``OSError``."""
        return native.recv_nowait(self.fd, READ_BYTES)

    def begin_sending(self, data: bytes) -> None:
        """Send as much as the kernel's buffer takes, and keep the rest; raises ``OSError``."""
        self.rest = memoryview(data)
        self.send_more()

    def send_more(self) -> None:
        """Send as much of the rest as the kernel's buffer takes; raises ``OSError``."""
        while self.rest:
            # This call keeps the GIL: another thread that computes would hold it for 5 ms.
            piece = bytes(self.rest[: 1 << 20])
            sent = native.send(self.fd, piece, len(piece), native.SEND_FLAGS)
            if sent < 0:
                if native.send_failed():
                    raise ConnectionError("the client is gone")
                return
            self.rest = self.rest[sent:]

    def shut_down_writing(self) -> None:
        """Tell the client that nothing more comes; the caller drains what it still sends before closing.

        Closing with unread bytes would reset the connection, and the client might lose its response.
        """
        self._shutdown(_socket.SHUT_WR)

    # -- streams -------------------------------------------------------------------------------------------------------

    def send(self, data: bytes, seconds: float) -> None:
        """Send everything within ``seconds`` in total; raises ``OSError``."""
        sent = native.send(self.fd, data, len(data), native.SEND_FLAGS)
        if sent < len(data):  # or it failed: then sendall raises
            self._sock.settimeout(seconds)
            self._sock.sendall(memoryview(data)[max(0, sent) :])

    def expect_reading(self, seconds: float) -> None:
        """Let the kernel end the connection if the client does not read within ``seconds``, where that is supported.

        Small pieces fit the kernel's buffer, so :meth:`send` does not notice that the client reads nothing.
        """
        if hasattr(_socket, "TCP_USER_TIMEOUT"):
            self._sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_USER_TIMEOUT, max(1, int(seconds * 1000)))

    def is_ended(self) -> bool:
        """Return whether the connection has ended, from either side; received bytes are dropped.

        Raises ``OSError`` if it is broken.
        """
        return native.recv_nowait(self.fd, _PEEK_BYTES) == b""

    def wake_by(self, call: Callable[[], None]) -> None:
        """Call the function when another thread ends the connection, so that the wait for its stream ends too."""
        self._wake = call

    # -- from any thread -----------------------------------------------------------------------------------------------

    def end_reading(self) -> None:
        """End the stream, as if the client had closed its side."""
        self._shutdown(_socket.SHUT_RD)
        self._wake_stream()

    def abort(self) -> None:
        """Make reads and writes fail immediately."""
        self._shutdown(_socket.SHUT_RDWR)
        self._wake_stream()

    def close(self) -> None:
        """Close the socket; no other call is allowed afterwards."""
        self._sock.close()

    def _wake_stream(self) -> None:
        try:
            self._wake()
        except Exception:  # the stream's own thread gets the same error when it closes the stream
            logger.debug("a stream could not be woken", exc_info=True)

    def _shutdown(self, how: int) -> None:
        try:
            self._sock.shutdown(how)
        except OSError:  # the client is gone already
            pass
