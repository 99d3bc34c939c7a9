"""One client's connection: reads and writes that never wait, and those of a stream, which wait with a deadline."""

from __future__ import annotations

import _socket
import logging
from collections.abc import Callable

from rag_pipeline.common import native
from rag_pipeline.http_server.head import RequestHead

READ_BYTES = 8192
DRAIN_BYTES = 256 * 1024
_PEEK_BYTES = 4096

logger = logging.getLogger("rag_pipeline.http")


def _nothing() -> None:
    """There is no one to wake."""


class Connection:
    """A client's socket. One thread at a time has it: the server's while the client is waited for, else a worker.

    :meth:`end_reading` and :meth:`abort` may be called by any thread. ``requests`` counts those that were answered,
    ``drained`` the bytes that were dropped at the end; ``rest`` is what the client has not taken of its answer, and
    ``closes`` whether the connection ends after it.
    """

    def __init__(self, sock: _socket.socket, limit_bytes: int) -> None:
        sock.setblocking(False)
        # A full answer is one write: there is nothing to gather, and Nagle's wait would cost 40 ms.
        sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        self._sock = sock
        self.fd = sock.fileno()
        self.head = RequestHead(limit_bytes)
        self.requests = 0
        self.drained = 0
        self.rest = memoryview(b"")
        self.closes = False
        self._wake: Callable[[], None] = _nothing

    @property
    def address(self) -> str:
        """The client's address, for the log."""
        try:
            return str(self._sock.getpeername()[0])
        except OSError:
            return "an address that is gone"

    def receive(self) -> bytes | None:
        """Return what has arrived, empty at the end, None if nothing has; raises ``OSError``."""
        return native.recv_nowait(self.fd, READ_BYTES)

    def begin_sending(self, data: bytes) -> None:
        """Send what fits the kernel's buffer, and keep the rest; raises ``OSError``."""
        self.rest = memoryview(data)
        self.go_on_sending()

    def go_on_sending(self) -> None:
        """Send more of the rest, as far as it fits; raises ``OSError``."""
        while self.rest:
            # No GIL is given up: a thread that computes would keep it for 5 ms.
            piece = bytes(self.rest[: 1 << 20])
            sent = native.send(self.fd, piece, len(piece), native.SEND_FLAGS)
            if sent < 0:
                if native.send_failed():
                    raise ConnectionError("the client is gone")
                return
            self.rest = self.rest[sent:]

    def say_end(self) -> None:
        """Tell the client that nothing more comes. Closing with unread bytes would reset the connection, and the
        client may lose its answer with it: so what it still sends is taken for a while."""
        self._shutdown(_socket.SHUT_WR)

    # -- a stream's ----------------------------------------------------------------------------------------------------

    def send(self, data: bytes, seconds: float) -> None:
        """Send everything within ``seconds`` altogether; raises ``OSError``."""
        # Mostly all of it fits.
        sent = native.send(self.fd, data, len(data), native.SEND_FLAGS)
        if sent < len(data):  # or it failed, which the next attempt tells
            self._sock.settimeout(seconds)
            self._sock.sendall(memoryview(data)[max(0, sent) :])

    def expect_reading(self, seconds: float) -> None:
        """Let the kernel end the connection when what was sent is not taken within ``seconds``, where it knows how.

        What is sent now and then fits the kernel's buffer, and :meth:`send` does not see that no one takes it.
        """
        if hasattr(_socket, "TCP_USER_TIMEOUT"):
            self._sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_USER_TIMEOUT, max(1, int(seconds * 1000)))

    def is_ended(self) -> bool:
        """Return whether the client has ended, or was ended from outside; what it still sent is dropped.

        Raises ``OSError`` if the connection is broken.
        """
        return native.recv_nowait(self.fd, _PEEK_BYTES) == b""

    def wake_by(self, call: Callable[[], None]) -> None:
        """Have the call made when the connection is ended from outside: a stream is waited for from now on."""
        self._wake = call

    # -- from outside --------------------------------------------------------------------------------------------------

    def end_reading(self) -> None:
        """Make a stream see the end once it has read what arrived."""
        self._shutdown(_socket.SHUT_RD)
        self._wake_stream()

    def abort(self) -> None:
        """Make reads and writes fail at once."""
        self._shutdown(_socket.SHUT_RDWR)
        self._wake_stream()

    def close(self) -> None:
        """Close the socket; nothing may be called afterwards."""
        self._sock.close()

    def _wake_stream(self) -> None:
        try:
            self._wake()
        except Exception:  # the stream's thread meets it too, when it closes the stream
            logger.debug("a stream could not be woken", exc_info=True)

    def _shutdown(self, how: int) -> None:
        try:
            self._sock.shutdown(how)
        except OSError:  # the client is gone already
            pass
