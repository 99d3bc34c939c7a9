"""The attackers: what they send, and that they come again."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from benchmarks.hostile import attacker
from benchmarks.hostile.attacker import KINDS, Herd, Kind
from benchmarks.hostile.rows import ROWS

SECONDS = 30.0


class Listener:
    """Keeps what comes; closes the first so many connections."""

    def __init__(self, refused: int) -> None:
        self.received: list[bytearray] = []
        self._refused = refused
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._threads[0].join(SECONDS)

    def _accept(self) -> None:
        try:
            for number in range(1 << 20):
                client, _ = self._socket.accept()
                if number < self._refused:
                    client.close()
                    continue
                data = bytearray()
                self.received.append(data)
                threading.Thread(target=self._read, args=(client, data), daemon=True).start()
        except OSError:
            pass

    def _read(self, client: socket.socket, data: bytearray) -> None:
        with client, suppress(OSError):  # an attacker leaves as it likes
            while part := client.recv(1 << 16):
                data += part
                client.sendall(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener(refused=3)
    yield made
    made.close()


def run(herd: Herd, done: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not done():
        assert time.monotonic() < deadline
        herd.turn()
    herd.close()


def test_who_is_closed_comes_again(listener: Listener) -> None:
    herd = Herd(Kind("http", lambda: b"hello"), listener.port, 4)
    run(herd, lambda: len(listener.received) == 4 and all(data == b"hello" for data in listener.received))
    assert herd.opened >= 4 + 3
    assert herd.closed >= 3


def test_some_drip(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attacker, "DRIP_SECONDS", 0.0)
    herd = Herd(Kind("http", lambda: b"GET", b"a"), listener.port, 2)
    run(herd, lambda: any(data.startswith(b"GETaaa") for data in listener.received))


def test_some_ask_again_after_each_answer_and_count_refusals(listener: Listener) -> None:
    herd = Herd(Kind("http", lambda: b"1", b"2", "answered"), listener.port, 1)
    run(herd, lambda: any(data.startswith(b"1222") for data in listener.received) and herd.refused >= 3)
    assert herd.answers == herd.refused


def test_a_flood_keeps_to_its_pace(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attacker, "FLOOD_BYTES_PER_SECOND", 1)
    herd = Herd(Kind("http", lambda: b"1", b"2" * 64, "always"), listener.port, 2)
    run(herd, lambda: herd.sent_bytes)
    assert herd.sent_bytes <= 2 + 2 * 64


def test_every_attack_of_a_row_is_known() -> None:
    assert {kind for row in ROWS for kind, _ in row.attackers} <= KINDS.keys()
    for kind in KINDS.values():
        kind.greeting()
