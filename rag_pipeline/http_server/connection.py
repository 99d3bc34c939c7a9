"""One client's connection, on which every wait has an end."""

from __future__ import annotations

import _socket
import io
import logging
from collections.abc import Callable
from http.client import LineTooLong
from time import monotonic
from typing import TYPE_CHECKING

from rag_pipeline import native

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

logger = logging.getLogger("rag_pipeline.http")

_DRAIN_BYTES = 256 * 1024
_PEEK_BYTES = 4096


class DeadlineReader(io.RawIOBase):
    """The receiving side: hands out at most so many bytes until a point in time, however slowly they trickle in.

    Raises ``TimeoutError`` at the deadline, ``LineTooLong`` over the limit; ``ended`` tells that the client is done.
    """

    def __init__(self, sock: _socket.socket) -> None:
        super().__init__()
        self.ended = False
        self._sock = sock
        self._deadline = monotonic()
        self._bytes_left = 0

    def allow(self, seconds: float, limit_bytes: int) -> None:
        """Set the deadline and the limit for what is read from now on."""
        self._deadline = monotonic() + seconds
        self._bytes_left = limit_bytes

    def readable(self) -> bool:
        """Return True, as ``io.BufferedReader`` asks."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Receive into the buffer; 0 is the end."""
        seconds_left = self._deadline - monotonic()
        if seconds_left <= 0:
            raise TimeoutError("the client took too long to send")
        if self._bytes_left <= 0:
            raise LineTooLong("request")
        self._sock.settimeout(seconds_left)
        received = self._sock.recv_into(memoryview(buffer)[: self._bytes_left])
        self._bytes_left -= received
        self.ended = received == 0
        return received


def _nothing() -> None:
    """There is no one to wake."""


class Connection:
    """A client's socket; its handler thread reads and writes, the server's thread may end it from outside.

    ``waiting_since`` is the monotonic time since when the handler waits for the client, None while it works.
    ``streams`` says that the handler carries a stream.
    """

    def __init__(self, sock: _socket.socket) -> None:
        # A full answer is one write: there is nothing to gather, and Nagle's wait would cost 40 ms.
        sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        self._sock = sock
        self.reader = DeadlineReader(sock)
        self.waiting_since: float | None = monotonic()
        self.streams = False
        self._writing = False
        self._wake: Callable[[], None] = _nothing

    def send(self, data: bytes, seconds: float) -> None:
        """Send everything within ``seconds`` altogether; raises ``OSError``."""
        self._sock.settimeout(seconds)
        self._writing = True
        self.waiting_since = monotonic()
        try:
            # Mostly all of it fits, and no GIL is given up: a thread that computes would keep it for 5 ms.
            sent = native.send(self._sock.fileno(), data, len(data), native.SEND_FLAGS)
            if sent < len(data):  # or it failed, which the next attempt tells
                self._sock.sendall(memoryview(data)[max(0, sent) :])
        finally:
            self._writing = False

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
        return native.recv_nowait(self._sock.fileno(), _PEEK_BYTES) == b""

    def linger(self, seconds: float) -> None:
        """Say the end and take what the client still sends, for a bounded while.

        Closing with unread bytes resets the connection, and the client may lose the answer with it.
        """
        self.waiting_since = monotonic()
        self.reader.allow(seconds, _DRAIN_BYTES)
        scratch = bytearray(16 * 1024)
        try:
            self._sock.shutdown(_socket.SHUT_WR)
            while self.reader.readinto(scratch):
                pass
        except (OSError, LineTooLong):
            pass

    def wake_by(self, call: Callable[[], None]) -> None:
        """Have the call made when the connection is ended from outside: its handler waits for a stream from now on."""
        self._wake = call
        self.streams = True

    def end_reading(self) -> None:
        """Make the handler see the end once it has read what arrived; called from outside."""
        self._shutdown(_socket.SHUT_RD)
        self._wake_handler()

    def abort(self) -> None:
        """Make the handler's reads and writes fail at once; called from outside."""
        self._shutdown(_socket.SHUT_RDWR)
        self._wake_handler()

    def give_way(self) -> None:
        """End a wait for the client: it does not send, or it does not read."""
        if self._writing:
            self.abort()
        else:
            self.end_reading()

    def close(self) -> None:
        """Close the socket; nothing may be called afterwards."""
        self.reader.close()
        self._sock.close()

    def _wake_handler(self) -> None:
        try:
            self._wake()
        except Exception:  # the handler meets it too, when it closes the stream
            logger.debug("a stream could not be woken", exc_info=True)

    def _shutdown(self, how: int) -> None:
        try:
            self._sock.shutdown(how)
        except OSError:  # the client is gone already
            pass
