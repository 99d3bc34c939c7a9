"""One GET over HTTP or HTTPS with a bound on its time and size.

Works on ``_socket``, so that a host program's green sockets and hubs play no part; TLS goes through memory, as the
sockets of ``ssl`` are among what is patched.
"""

from __future__ import annotations

import _socket
import io
import socket
import ssl
import time
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from typing import TYPE_CHECKING, TypeVar, cast
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

READ_BYTES = 1 << 16

T = TypeVar("T")


def fetch(url: str, *, timeout_seconds: float, limit_bytes: int, tls: ssl.SSLContext | None = None) -> bytes:
    """Return the body of a 200. No other address is followed to.

    Raises OSError, or ValueError for what is no answer, is another one than a 200, or is too long.
    """
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    wire = _Wire(parts.hostname or "", port, time.monotonic() + timeout_seconds)
    try:
        if parts.scheme == "https":
            return _exchange(_Tls(wire, parts.hostname or "", tls or ssl.create_default_context()), parts, limit_bytes)
        return _exchange(wire, parts, limit_bytes)
    except TimeoutError:
        raise TimeoutError(f"no answer within {timeout_seconds:g} seconds") from None
    finally:
        wire.close()


class _Wire:
    """A connection on which all waits together have one end."""

    def __init__(self, host: str, port: int, deadline: float) -> None:
        self._deadline = deadline
        self._sock: _socket.socket | None = None
        error: OSError = OSError("the name has no address")
        for family, kind, proto, _, address in _socket.getaddrinfo(host, port, 0, _socket.SOCK_STREAM):
            try:
                self._sock = _socket.socket(family, kind, proto)
                self._wait()
                self._sock.connect(address)
            except OSError as failure:
                error = failure
                self.close()
            else:
                return
        raise error

    def send(self, data: bytes) -> None:
        assert self._sock is not None
        self._wait()
        self._sock.sendall(data)

    def receive(self, size: int) -> bytes:
        assert self._sock is not None
        self._wait()
        return self._sock.recv(size)

    def close(self) -> None:
        sock, self._sock = self._sock, None
        if sock is not None:
            sock.close()

    def _wait(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        assert self._sock is not None
        self._sock.settimeout(left)


class _Tls:
    """TLS on a wire."""

    def __init__(self, wire: _Wire, host: str, context: ssl.SSLContext) -> None:
        self._wire = wire
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._pump(self._tls.do_handshake)

    def send(self, data: bytes) -> None:
        self._pump(lambda: self._tls.write(data))

    def receive(self, size: int) -> bytes:
        try:
            return self._pump(lambda: self._tls.read(size))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    def _pump(self, step: Callable[[], T]) -> T:
        """Take the step, and what it takes to get there: bytes out, bytes in."""
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                self._flush()
                data = self._wire.receive(READ_BYTES)
                if data:
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
            else:
                self._flush()
                return result

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data:
            self._wire.send(data)


class _Reader(io.RawIOBase):
    """What is received, up to a limit, as the file that ``HTTPResponse`` reads from; it asks its socket for that."""

    def __init__(self, wire: _Wire | _Tls, limit_bytes: int) -> None:
        super().__init__()
        self._wire = wire
        self._left = limit_bytes

    def makefile(self, *_: object) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        data = self._wire.receive(len(view))
        self._left -= len(data)
        if self._left < 0:
            raise ValueError("the answer is too long")
        view[: len(data)] = data
        return len(data)


def _exchange(wire: _Wire | _Tls, parts: SplitResult, limit_bytes: int) -> bytes:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [f"GET {target} HTTP/1.1", f"Host: {parts.netloc}", "Accept: application/json", "Connection: close"]
    wire.send("\r\n".join([*lines, "", ""]).encode("ascii"))
    response = HTTPResponse(cast(socket.socket, _Reader(wire, limit_bytes)))
    try:
        response.begin()
        if response.status != 200:
            raise ValueError(f"it answered {response.status}")
        return response.read()
    except HTTPException:
        raise ValueError("it did not answer as an HTTP server does") from None
    finally:
        response.close()
