"""A small Socket.IO client over a WebSocket: joins one namespace, and tells what comes as it comes."""

from __future__ import annotations

import base64
import json
import os
import socket
import time
from typing import Any, Self

HOST = "127.0.0.1"
_TEXT = 0x1


class RefusedError(Exception):
    """The service did not let the client in, or let it go."""


def upgrade() -> bytes:
    """Return the request for a WebSocket."""
    lines = (
        "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1",
        f"Host: {HOST}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        "Sec-WebSocket-Version: 13",
    )
    return "\r\n".join([*lines, "", ""]).encode()


def masked(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    """Return a frame of a client, of at most 125 bytes."""
    mask = b"\x01\x02\x03\x04"
    body = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    return bytes([(0x80 if fin else 0) | opcode, 0x80 | len(payload)]) + mask + body


class Client:
    """Connects and joins within ``seconds``; raises :class:`RefusedError`, or ``OSError``."""

    def __init__(self, port: int, auth: dict[str, Any] | None = None, *, seconds: float) -> None:
        self._buffer = bytearray()
        self._deadline = time.monotonic() + seconds
        self._socket = socket.create_connection((HOST, port), timeout=seconds)
        try:
            self._socket.sendall(upgrade())
            self._enter(auth)
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def receive(self, seconds: float) -> bytes:
        """Return the next event's packet, answering pings; raises ``TimeoutError`` when none comes in time."""
        self._deadline = time.monotonic() + seconds
        while True:
            opcode, payload = self._frame()
            if opcode != _TEXT:
                raise RefusedError("the service closed the WebSocket")
            if payload == b"2":
                self._socket.sendall(masked(_TEXT, b"3"))
            elif payload.startswith(b"44"):
                raise RefusedError(payload.decode())
            elif payload.startswith(b"42"):
                return payload

    def _enter(self, auth: dict[str, Any] | None) -> None:
        while b"\r\n\r\n" not in self._buffer:
            self._fill()
        head, _, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"):
            raise RefusedError(head.partition(b"\r\n")[0].decode())
        self._buffer[:] = rest
        told = "" if auth is None else json.dumps(auth)
        self._socket.sendall(masked(_TEXT, f"40/pipeline,{told}".encode()))

    def _frame(self) -> tuple[int, bytes]:
        first, size = self._take(2)
        if size >= 126:
            size = int.from_bytes(self._take(2 if size == 126 else 8), "big")
        return first & 0x0F, self._take(size)

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._fill()
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _fill(self) -> None:
        self._socket.settimeout(max(0.001, self._deadline - time.monotonic()))
        data = self._socket.recv(1 << 16)
        if not data:
            raise RefusedError("the service closed the connection")
        self._buffer += data
