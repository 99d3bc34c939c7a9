"""Every wait for a client ends."""

from __future__ import annotations

import _socket
import io
import socket
from collections.abc import Iterator
from http.client import LineTooLong

import pytest

from rag_pipeline.http_server.connection import Connection

Pair = tuple[Connection, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname(), timeout=10)
        accepted, _ = listener.accept()
        connection = Connection(_socket.socket(fileno=accepted.detach()))
        with client:
            yield connection, client
        connection.close()


def test_reading_ends_at_the_deadline(pair: Pair) -> None:
    connection, client = pair
    client.sendall(b"GET")
    connection.reader.allow(0.05, 100)
    with pytest.raises(TimeoutError):
        io.BufferedReader(connection.reader).readline()


def test_reading_ends_at_the_limit(pair: Pair) -> None:
    connection, client = pair
    client.sendall(b"x" * 100)
    connection.reader.allow(10, 99)
    with pytest.raises(LineTooLong):
        io.BufferedReader(connection.reader).readline()


def test_the_end_is_told(pair: Pair) -> None:
    connection, client = pair
    client.sendall(b"a\n")
    client.shutdown(socket.SHUT_WR)
    connection.reader.allow(10, 100)
    lines = io.BufferedReader(connection.reader)
    assert (lines.readline(), connection.reader.ended) == (b"a\n", False)
    assert (lines.readline(), connection.reader.ended) == (b"", True)


def test_what_arrived_is_read_after_reading_was_ended(pair: Pair) -> None:
    connection, client = pair
    client.sendall(b"a\n")
    connection.reader.allow(10, 100)
    lines = io.BufferedReader(connection.reader)
    assert lines.peek(1)
    connection.end_reading()
    assert lines.read() == b"a\n"


def test_sending_to_who_does_not_read_ends(pair: Pair) -> None:
    connection, _ = pair
    with pytest.raises(TimeoutError):
        connection.send(b"x" * 20_000_000, 0.05)


def test_lingering_ends_with_who_never_stops(pair: Pair) -> None:
    connection, client = pair
    connection.linger(0.05)
    assert client.recv(1) == b""
