"""Every wait for a client ends."""

from __future__ import annotations

import _socket
import io
import socket
import struct
from collections.abc import Iterator
from http.client import LineTooLong

import pytest

from rag_pipeline.http_server.connection import Connection
from tests.http_server.support import wait_until

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


def test_a_client_that_waits_has_not_ended(pair: Pair) -> None:
    connection, client = pair
    assert not connection.is_ended()
    client.sendall(b"what was not asked for")
    assert not connection.is_ended()


def test_a_client_that_is_done_has_ended_whatever_it_sent_before(pair: Pair) -> None:
    connection, client = pair
    client.sendall(b"x" * 10_000)
    client.shutdown(socket.SHUT_WR)
    wait_until(connection.is_ended)


def test_a_connection_that_was_ended_from_outside_has_ended(pair: Pair) -> None:
    connection, _ = pair
    connection.end_reading()
    assert connection.is_ended()


def test_a_broken_connection_is_an_error(pair: Pair) -> None:
    connection, client = pair
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    with pytest.raises(OSError):
        wait_until(connection.is_ended)


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the kernel has no such bound")
def test_the_kernel_is_told_how_long_a_client_may_leave_things_unread(pair: Pair) -> None:
    connection, _ = pair
    connection.expect_reading(2.5)
    assert connection._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 2500


def test_lingering_ends_with_who_never_stops(pair: Pair) -> None:
    connection, client = pair
    connection.linger(0.05)
    assert client.recv(1) == b""
