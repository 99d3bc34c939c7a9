"""No read or write waits for a client without a limit."""

from __future__ import annotations

import _socket
import socket
import struct
from collections.abc import Iterator

import pytest

from rag_pipeline.http_server.connection import ClientConnection
from tests.http_server.support import wait_until

Pair = tuple[ClientConnection, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname(), timeout=10)
        accepted, _ = listener.accept()
        connection = ClientConnection(_socket.socket(fileno=accepted.detach()), 1000)
        with client:
            yield connection, client
        connection.close()


def test_receiving_never_waits(pair: Pair) -> None:
    connection, client = pair
    assert connection.receive() is None
    client.sendall(b"GET")
    wait_until(lambda: (found := connection.receive()) is None or found == b"GET")
    client.shutdown(socket.SHUT_WR)
    wait_until(lambda: connection.receive() == b"")


def test_the_unsent_rest_of_a_response_is_kept(pair: Pair) -> None:
    connection, client = pair
    data = bytes(range(256)) * 80_000
    connection.begin_sending(data)
    assert 0 < len(connection.rest) < len(data)
    received = bytearray()
    while len(received) < len(data):
        received += client.recv(1 << 20)
        connection.send_more()
    assert received == data
    assert not connection.rest


def test_sending_to_a_client_that_is_gone_raises(pair: Pair) -> None:
    connection, client = pair
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    wait_until(lambda: connection.address == "an address that is gone")
    with pytest.raises(OSError):
        connection.begin_sending(b"x")


def test_it_knows_the_clients_address(pair: Pair) -> None:
    connection, client = pair
    assert connection.address == "127.0.0.1"
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    wait_until(lambda: connection.address == "an address that is gone")


def test_sending_to_a_client_that_does_not_read_times_out(pair: Pair) -> None:
    connection, _ = pair
    with pytest.raises(TimeoutError):
        connection.send(b"x" * 20_000_000, 0.05)


def test_a_client_that_waits_has_not_ended(pair: Pair) -> None:
    connection, client = pair
    assert not connection.is_ended()
    client.sendall(b"what was not asked for")
    assert not connection.is_ended()


def test_a_client_that_has_closed_has_ended_whatever_it_sent_before(pair: Pair) -> None:
    connection, client = pair
    client.sendall(b"x" * 10_000)
    client.shutdown(socket.SHUT_WR)
    wait_until(connection.is_ended)


def test_a_connection_ended_by_another_thread_has_ended(pair: Pair) -> None:
    connection, _ = pair
    connection.end_reading()
    assert connection.is_ended()


def test_a_broken_connection_raises(pair: Pair) -> None:
    connection, client = pair
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    with pytest.raises(OSError):
        wait_until(connection.is_ended)


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the kernel has no such bound")
def test_the_kernel_limits_how_long_data_stays_unread(pair: Pair) -> None:
    connection, _ = pair
    connection.expect_reading(2.5)
    assert connection._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 2500


def test_our_side_can_close_before_the_clients(pair: Pair) -> None:
    connection, client = pair
    connection.shut_down_writing()
    assert client.recv(1) == b""
    client.sendall(b"late")
    wait_until(lambda: connection.receive() == b"late")
