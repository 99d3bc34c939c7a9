"""One attacking process: ``python -m benchmarks.hostile.attacker KIND HTTP_PORT SOCKET_PORT CLIENTS``.

It attacks until its stdin ends, or for two minutes; then it prints what it has done.
"""

from __future__ import annotations

import errno
import json
import resource
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from benchmarks.hostile.websocket import HOST, masked, upgrade

MOST_SECONDS = 120.0
OPENED_A_TURN = 64
TURN_SECONDS = 0.02
DRIP_SECONDS = 1.0
RETRY_SECONDS = 0.05
READ_BYTES = 1 << 16
FLOOD_BYTES_PER_SECOND = 250_000
"""What each of two processes sends at most, where it is frames that it floods with."""

_PING, _TEXT, _CONTINUATION = 0x9, 0x1, 0x0


@dataclass(frozen=True, slots=True)
class Kind:
    """What each client does: ``greeting`` once connected, then ``more`` every second, after each answer, or always."""

    port: Literal["http", "socket"]
    greeting: Callable[[], bytes]
    more: bytes = b""
    when: Literal["dripping", "answered", "always"] = "dripping"


def _get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", f"Host: {HOST}", *headers, "", ""]).encode()


def _polling() -> bytes:
    return _get("/socket.io/?EIO=4&transport=polling") * 10


_MARKS = "%CC%81%CC%A3"

KINDS = {
    "idle": Kind("socket", lambda: b""),
    "dripping": Kind("socket", lambda: b"GET /socket.io/ HTTP/1.1\r\nX: ", b"a"),
    "headers": Kind("http", lambda: b"GET /health HTTP/1.1\r\nX: ", b"a"),
    "websockets": Kind("socket", upgrade),
    "joined": Kind("socket", lambda: upgrade() + masked(_TEXT, b"40/google_drive,")),
    "pings": Kind("socket", upgrade, masked(_PING, b"") * 64, "always"),
    "connects": Kind("socket", upgrade, masked(_TEXT, b"40/nowhere,") * 32, "always"),
    "fragments": Kind(
        "socket",
        lambda: upgrade() + masked(_TEXT, b"", fin=False),
        masked(_CONTINUATION, b"", fin=False) * 64,
        "always",
    ),
    "marks": Kind("http", lambda: _get(f"/files?q=a{_MARKS * 90}"), _get(f"/files?q=a{_MARKS * 90}"), "answered"),
    "long marks": Kind("http", lambda: _get(f"/files?q=a{_MARKS * 16_000}")),
    "sessions": Kind("socket", _polling, _polling(), "answered"),
    "searches": Kind("http", lambda: _get("/files?q=re"), _get("/files?q=re"), "answered"),
    "streams": Kind("http", lambda: _get("/events?namespace=/google_drive", "Accept: text/event-stream")),
    "pages": Kind("http", lambda: _get("/events?limit=1000"), _get("/events?limit=1000"), "answered"),
    "polls": Kind("socket", lambda: _get("/health") * 20, _get("/health") * 20, "answered"),
    "requests": Kind("http", lambda: _get("/status") * 20, _get("/status") * 20, "answered"),
}


@dataclass(eq=False, slots=True)
class _Client:
    socket: socket.socket
    connected: bool = False
    rest: bytes = b""
    dripped_at: float = field(default_factory=time.monotonic)


class Herd:
    """So many clients of one kind; each that is closed comes again. One thread, no client waits for another."""

    def __init__(self, kind: Kind, port: int, count: int) -> None:
        self.opened = self.closed = self.sent_bytes = self.answers = self.refused = 0
        self._kind = kind
        self._port = port
        self._count = count
        self._clients: set[_Client] = set()
        self._select = selectors.DefaultSelector()
        self._began = time.monotonic()
        self._not_before = 0.0

    def turn(self) -> None:
        """Do what can be done now, waiting a little for something."""
        self._open_some()
        for key, mask in self._select.select(TURN_SECONDS):
            client: _Client = key.data
            try:
                if mask & selectors.EVENT_WRITE:
                    self._write(client)
                if mask & selectors.EVENT_READ:
                    self._read(client)
            except OSError:
                self._drop(client)
        if self._kind.when == "dripping" and self._kind.more:
            self._drip()

    def close(self) -> None:
        """Close all clients."""
        for client in list(self._clients):
            self._drop(client)
        self._select.close()

    def _open_some(self) -> None:
        now = time.monotonic()
        for _ in range(min(OPENED_A_TURN, self._count - len(self._clients))):
            if now < self._not_before:
                return
            made = socket.socket()
            made.setblocking(False)
            failed = made.connect_ex((HOST, self._port))
            if failed not in (0, errno.EINPROGRESS):
                made.close()
                self._not_before = now + RETRY_SECONDS
                return
            client = _Client(made)
            self._clients.add(client)
            self._select.register(made, selectors.EVENT_READ | selectors.EVENT_WRITE, client)

    def _write(self, client: _Client) -> None:
        if not client.connected:
            client.connected = True
            self.opened += 1
            client.rest = self._kind.greeting()
        elif not client.rest and self._kind.when == "always" and self._may_flood():
            client.rest = self._kind.more
        if client.rest:
            sent = client.socket.send(client.rest)
            self.sent_bytes += sent
            client.rest = client.rest[sent:]
        if not client.rest and self._kind.when != "always":
            self._select.modify(client.socket, selectors.EVENT_READ, client)

    def _may_flood(self) -> bool:
        ahead = self.sent_bytes - FLOOD_BYTES_PER_SECOND * (time.monotonic() - self._began)
        if ahead > 0:
            time.sleep(min(ahead / FLOOD_BYTES_PER_SECOND, TURN_SECONDS))
        return ahead <= 0

    def _read(self, client: _Client) -> None:
        data = client.socket.recv(READ_BYTES)
        if not data:
            raise ConnectionError
        self.answers += data.count(b"HTTP/1.1 ")
        self.refused += data.count(b"HTTP/1.1 503")
        if self._kind.when == "answered" and not client.rest:
            client.rest = self._kind.more
            self._select.modify(client.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, client)

    def _drip(self) -> None:
        now = time.monotonic()
        for client in [one for one in self._clients if one.connected and now - one.dripped_at > DRIP_SECONDS]:
            client.dripped_at = now
            try:
                self.sent_bytes += client.socket.send(self._kind.more)
            except OSError:
                self._drop(client)

    def _drop(self, client: _Client) -> None:
        self.closed += client.connected
        if not client.connected:
            self._not_before = time.monotonic() + RETRY_SECONDS
        self._select.unregister(client.socket)
        client.socket.close()
        self._clients.discard(client)


def _wait_for_end(over: threading.Event) -> None:
    sys.stdin.read()
    over.set()


def main() -> None:
    """Attack until the end of stdin; print the figures."""
    _, name, http_port, socket_port, count = sys.argv
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    kind = KINDS[name]
    over = threading.Event()
    threading.Thread(target=_wait_for_end, args=(over,), daemon=True).start()
    herd = Herd(kind, int(http_port if kind.port == "http" else socket_port), int(count))
    began = time.monotonic()
    print(json.dumps({"event": "began"}), flush=True)
    while not over.is_set() and time.monotonic() - began < MOST_SECONDS:
        herd.turn()
    seconds = time.monotonic() - began
    herd.close()
    done = {name: getattr(herd, name) for name in ("opened", "closed", "sent_bytes", "answers", "refused")}
    print(json.dumps({"event": "done", "seconds": seconds, **done}), flush=True)


if __name__ == "__main__":
    main()
