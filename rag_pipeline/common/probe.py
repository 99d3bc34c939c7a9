"""Asks a server of this service one question over the network: the proof that it answers.

Works on ``_socket``, so that a host program's green sockets and hubs play no part.
"""

from __future__ import annotations

import _socket
import json
import time
from typing import Any, NamedTuple

MAX_ANSWER_BYTES = 1 << 22


class ProbeResult(NamedTuple):
    """Status and JSON body of the answer; ``error`` says why there is none."""

    status: int | None
    body: Any
    seconds: float
    error: str | None

    @property
    def ok(self) -> bool:
        """Whether the server answered 200 with JSON."""
        return self.status == 200 and self.error is None


def probe(host: str, port: int, path: str, *, timeout_seconds: float = 2.0, token: str | None = None) -> ProbeResult:
    """Return what ``GET path`` gives within the time; never raises for a server that is dead, slow or not ours."""
    began = time.monotonic()
    try:
        status, body = _get(reachable(host), port, path, began + timeout_seconds, token)
    except TimeoutError:
        return ProbeResult(None, None, time.monotonic() - began, f"no answer within {timeout_seconds:g} seconds")
    except OSError as error:
        return ProbeResult(None, None, time.monotonic() - began, error.strerror or str(error))
    except ValueError as error:
        return ProbeResult(None, None, time.monotonic() - began, f"not an answer of this service ({error})")
    return ProbeResult(status, body, time.monotonic() - began, None if status == 200 else f"it answered {status}")


def reachable(host: str) -> str:
    """Return the address to reach a server at that is bound to ``host``: loopback for the any-addresses."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)


def _get(host: str, port: int, path: str, deadline: float, token: str | None) -> tuple[int, Any]:
    connection = _connect(host, port, deadline)
    try:
        name = f"[{host}]" if ":" in host else host
        lines = [f"GET {path} HTTP/1.0", f"Host: {name}:{port}", "Connection: close"]
        if token is not None:
            lines.append(f"Authorization: Bearer {token}")
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        answer = bytearray()
        while True:
            connection.settimeout(_left(deadline))
            part = connection.recv(1 << 16)
            if not part:
                return _parse(bytes(answer))
            answer += part
            if len(answer) > MAX_ANSWER_BYTES:
                raise ValueError("the answer is too long")
    finally:
        connection.close()


def _connect(host: str, port: int, deadline: float) -> _socket.socket:
    """Return a connection to the first address of the name that takes one; IPv4 first, as a server prefers it too."""
    found = _socket.getaddrinfo(host, port, 0, _socket.SOCK_STREAM)
    last: OSError | None = None
    for family, kind, proto, _, address in sorted(found, key=lambda entry: entry[0] != _socket.AF_INET):
        connection = _socket.socket(family, kind, proto)
        try:
            connection.settimeout(_left(deadline))
            connection.connect(address)
        except OSError as error:
            connection.close()
            last = error
        else:
            return connection
    raise last or OSError("the name has no address")


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _parse(answer: bytes) -> tuple[int, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    first = head.split(b"\r\n", 1)[0].split(b" ")
    if len(first) < 2 or not first[0].startswith(b"HTTP/") or not first[1].isdigit():
        raise ValueError("it is not HTTP")
    try:
        return int(first[1]), json.loads(body)
    except RecursionError:
        raise ValueError("its JSON is nested too deep") from None
