"""One GET over HTTP or HTTPS, with a bound on its time and size.

Works on ``_socket``, so a host program's green sockets and hubs play no part. TLS goes through memory, because the
sockets of ``ssl`` are patched too.
"""

from __future__ import annotations

import _socket
import io
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPException, HTTPResponse
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

READ_BYTES = 1 << 16
DEFAULT_PORTS = {"http": 80, "https": 443}

T = TypeVar("T")


class HttpAnswer(NamedTuple):
    """Status and body of an answer."""

    status: int
    body: bytes


def fetch(url: str, *, timeout_seconds: float, limit_bytes: int, tls: ssl.SSLContext | None = None) -> bytes:
    """Return the body of a 200. Redirects are not followed.

    Raises OSError, or ValueError if the answer is not HTTP, not a 200 or too long.
    """
    parts = urlsplit(url)
    if parts.scheme == "https" and tls is None:
        tls = ssl.create_default_context()
    answer = get(
        parts.hostname or "",
        parts.port or DEFAULT_PORTS[parts.scheme],
        (parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        timeout_seconds=timeout_seconds,
        limit_bytes=limit_bytes,
        tls=tls if parts.scheme == "https" else None,
    )
    if answer.status != 200:
        raise ValueError(f"it answered {answer.status}")
    return answer.body


def get(
    host: str,
    port: int,
    target: str,
    *,
    timeout_seconds: float,
    limit_bytes: int,
    token: str | None = None,
    tls: ssl.SSLContext | None = None,
) -> HttpAnswer:
    """Return the answer to ``GET target``; over TLS if there is a context.

    Raises OSError, or ValueError if the answer is not HTTP or too long.
    """
    try:
        with closing(_TcpStream(host, port, time.monotonic() + timeout_seconds)) as tcp:
            stream = tcp if tls is None else _TlsStream(tcp, host, tls)
            stream.send(_request(host, port, target, token, https=tls is not None))
            return _read_answer(stream, limit_bytes)
    except TimeoutError:
        raise TimeoutError(f"no answer within {timeout_seconds:g} seconds") from None


def _request(host: str, port: int, target: str, token: str | None, *, https: bool) -> bytes:
    name = f"[{host}]" if ":" in host else host
    if port != DEFAULT_PORTS["https" if https else "http"]:
        name = f"{name}:{port}"
    lines = [f"GET {target} HTTP/1.1", f"Host: {name}", "Accept: application/json", "Connection: close"]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    return "\r\n".join([*lines, "", ""]).encode()


def _read_answer(stream: _TcpStream | _TlsStream, limit_bytes: int) -> HttpAnswer:
    response = HTTPResponse(cast(socket.socket, _BoundedReader(stream, limit_bytes)))
    try:
        response.begin()
        return HttpAnswer(response.status, response.read())
    except HTTPException:
        raise ValueError("it is not HTTP") from None
    finally:
        response.close()


class _TcpStream:
    """A TCP connection. All its waits together end at the deadline."""

    def __init__(self, host: str, port: int, deadline: float) -> None:
        self._deadline = deadline
        self._socket = self._connect(host, port)

    def send(self, data: bytes) -> None:
        self._set_timeout(self._socket)
        self._socket.sendall(data)

    def receive(self, size: int) -> bytes:
        self._set_timeout(self._socket)
        return self._socket.recv(size)

    def close(self) -> None:
        self._socket.close()

    def _connect(self, host: str, port: int) -> _socket.socket:
        """Connect to the first address that accepts; IPv4 first, because servers bind to that first."""
        error = OSError("the name has no address")
        found = _socket.getaddrinfo(host, port, 0, _socket.SOCK_STREAM)
        for family, kind, proto, _, address in sorted(found, key=lambda entry: entry[0] != _socket.AF_INET):
            try:
                return self._connect_to(_socket.socket(family, kind, proto), address)
            except OSError as failure:
                error = failure
        raise error

    def _connect_to(self, connection: _socket.socket, address: Any) -> _socket.socket:
        try:
            self._set_timeout(connection)
            connection.connect(address)
        except BaseException:
            connection.close()
            raise
        return connection

    def _set_timeout(self, connection: _socket.socket) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)


class _TlsStream:
    """TLS over a TCP connection."""

    def __init__(self, tcp: _TcpStream, host: str, context: ssl.SSLContext) -> None:
        self._tcp = tcp
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
        """Repeat the step until it has all its input; move bytes between memory and the connection."""
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                self._flush()
                data = self._tcp.receive(READ_BYTES)
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
            self._tcp.send(data)


class _BoundedReader(io.RawIOBase):
    """The received bytes, up to a limit, as the file that ``HTTPResponse`` gets from its socket."""

    def __init__(self, stream: _TcpStream | _TlsStream, limit_bytes: int) -> None:
        super().__init__()
        self._stream = stream
        self._left = limit_bytes

    def makefile(self, *_: object) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        data = self._stream.receive(len(view))
        self._left -= len(data)
        if self._left < 0:
            raise ValueError("the answer is too long")
        view[: len(data)] = data
        return len(data)
