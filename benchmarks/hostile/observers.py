"""Honest clients beside an attack: who asks for /health, who follows, who comes new, and who comes back."""

from __future__ import annotations

import re
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import Self

from benchmarks.hostile.websocket import HOST, Client, RefusedError

HEALTH_PAUSE_SECONDS = 0.1
HEALTH_SECONDS = 10.0
JOIN_PAUSE_SECONDS = 0.2
JOIN_SECONDS = 10.0
AGAIN_SECONDS = 0.2
"""After so long a client that was refused tries again."""
QUIET_SECONDS = 10.0

_MARK = re.compile(rb'"link":"@t=(\d+)"')
_OFFSET = re.compile(rb'"offset":"([0-9a-f]+-[0-9a-f]+)"')
_SEQ = re.compile(rb'"seq":(\d+)')


@dataclass(slots=True)
class Seen:
    """What was seen in one window; all times in seconds."""

    health: list[float] = field(default_factory=list)
    """How long each answer took, of whatever status."""
    statuses: list[int] = field(default_factory=list)
    """The status of each answer; 0 where none came in time, or the connection was closed."""
    latencies: list[float] = field(default_factory=list)
    """Of each live event, from the mutation to the follower."""
    missed: int = 0
    """Events whose number the follower did not see."""
    cut: int = 0
    """How often the follower was disconnected."""
    joins: list[float] = field(default_factory=list)
    """How long each newcomer took from its first attempt until it had the state."""
    resumes: list[float] = field(default_factory=list)
    """How long each client took that came back, until it had all it had missed."""
    lost: int = 0
    """Clients that came back and were told that events are gone."""
    refused: int = 0
    """Attempts of newcomers that were refused or cut; each tried again."""
    left_out: int = 0
    """Newcomers that had not joined in ten seconds."""


class Observers:
    """Four honest clients, each on a thread; ``begin`` starts a new window and ``end`` returns what was seen in it."""

    def __init__(self, http_port: int, socket_port: int) -> None:
        self._http_port = http_port
        self._port = socket_port
        self._stop = threading.Event()
        self._seen = Seen()
        self._offset = ""
        work = (self._ask, self._follow, self._come_new, self._come_back)
        self._threads = [threading.Thread(target=function, daemon=True) for function in work]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(HEALTH_SECONDS + JOIN_SECONDS)

    @property
    def ready(self) -> bool:
        """Whether the follower gets events."""
        return bool(self._offset)

    def begin(self) -> None:
        """Start a new window."""
        self._seen = Seen()

    def end(self) -> Seen:
        """Return what was seen since :meth:`begin`."""
        seen, self._seen = self._seen, Seen()
        return seen

    def _ask(self) -> None:
        while not self._stop.wait(HEALTH_PAUSE_SECONDS):
            began = time.monotonic()
            status = ask(self._http_port, "/health", HEALTH_SECONDS)
            seen = self._seen  # an answer that took long belongs to the window it came in
            seen.health.append(time.monotonic() - began)
            seen.statuses.append(status)

    def _follow(self) -> None:
        while not self._stop.is_set():
            try:
                with Client(self._port, seconds=JOIN_SECONDS) as client:
                    self._read(client)
            except (OSError, RefusedError):
                if not self._stop.wait(AGAIN_SECONDS):
                    self._seen.cut += 1

    def _read(self, client: Client) -> None:
        last = None
        while not self._stop.is_set():
            packet = client.receive(QUIET_SECONDS)
            now = time.monotonic_ns()
            if found := _OFFSET.search(packet):
                self._offset = self._offset or found[1].decode()
            if not packet.startswith(b'42/pipeline,["pipeline:status"') and (number := _SEQ.search(packet)):
                if last is not None and int(number[1]) > last + 1:
                    self._seen.missed += int(number[1]) - last - 1
                last = int(number[1])
            if packet.startswith(b'42/pipeline,["pipeline:file_processing_started"') and (mark := _MARK.search(packet)):
                self._seen.latencies.append((now - int(mark[1])) / 1e9)

    def _come_new(self) -> None:
        while not self._stop.wait(JOIN_PAUSE_SECONDS):
            if (seconds := self._join(None, b'["pipeline:status"')) is not None:
                self._seen.joins.append(seconds)

    def _come_back(self) -> None:
        while not self._stop.wait(JOIN_PAUSE_SECONDS):
            if self._offset and (seconds := self._join(self._offset, b'"recovered":')) is not None:
                self._seen.resumes.append(seconds)

    def _join(self, offset: str | None, mark: bytes) -> float | None:
        """Return the seconds until a packet with the mark came, None if it did not."""
        began = time.monotonic()
        deadline = began + JOIN_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            try:
                with Client(self._port, {"offset": offset} if offset else None, seconds=left) as client:
                    while mark not in (packet := client.receive(deadline - time.monotonic())):
                        pass
                self._seen.lost += b'"recovered":false' in packet
                return time.monotonic() - began
            except (OSError, RefusedError):
                self._seen.refused += 1
                if self._stop.wait(AGAIN_SECONDS):
                    return None
        self._seen.left_out += 1
        return None


def ask(port: int, path: str, seconds: float) -> int:
    """Return the status of the answer on a new connection; 0 if there is none within the time."""
    deadline = time.monotonic() + seconds
    received = b""
    try:
        with socket.create_connection((HOST, port), timeout=seconds) as client:
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
            while part := client.recv(1 << 16):
                received += part
                client.settimeout(max(0.001, deadline - time.monotonic()))
    except OSError:
        return 0
    head = received[:12].split(b" ")
    return int(head[1]) if len(head) > 1 and head[1].isdigit() else 0
