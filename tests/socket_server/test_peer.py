"""Peers of real TCP connections that close, half-close and reset."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from rag_pipeline.socket_server import peer
from rag_pipeline.socket_server.peer import has_lost, is_gone
from tests.socket_server.support import reset, wait_until

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture(params=[True, False], ids=["exact", "elsewhere"])
def pair(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    """Return both ends of a connection; once with Linux's answers, once with the portable ones."""
    monkeypatch.setattr(peer, "_LINUX", request.param and peer._LINUX)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
        with ours, theirs:
            yield ours, theirs


def test_a_connected_peer_has_not_left_and_has_lost_nothing(pair: Pair) -> None:
    ours, _ = pair
    ours.sendall(b"x")
    assert not is_gone(ours)
    assert not has_lost(ours)


def test_a_peer_that_closed_after_reading_everything_has_lost_nothing(pair: Pair) -> None:
    ours, theirs = pair
    ours.sendall(b"x")
    assert theirs.recv(10) == b"x"
    theirs.close()
    wait_until(lambda: is_gone(ours))
    assert not has_lost(ours)


def test_a_half_closed_peer_counts_as_gone(pair: Pair) -> None:
    ours, theirs = pair
    theirs.shutdown(socket.SHUT_WR)
    wait_until(lambda: is_gone(ours))
    assert not has_lost(ours)


def test_a_reset_means_that_data_was_lost(pair: Pair) -> None:
    ours, theirs = pair
    reset(theirs)
    wait_until(lambda: has_lost(ours))
    assert is_gone(ours)


def test_a_peer_that_closed_with_unread_data_has_lost_data(pair: Pair) -> None:
    ours, theirs = pair
    ours.sendall(b"x" * 1000)
    wait_until(lambda: theirs.recv(1, socket.MSG_PEEK) == b"x")
    theirs.close()
    wait_until(lambda: has_lost(ours))
    assert is_gone(ours)


def test_a_peer_that_closed_before_everything_arrived_has_lost_data(pair: Pair) -> None:
    if not peer._LINUX:
        return  # only Linux knows
    ours, theirs = pair
    ours.setblocking(False)
    try:
        while True:
            ours.send(b"x" * (1 << 20))
    except BlockingIOError:
        pass
    theirs.shutdown(socket.SHUT_WR)
    wait_until(lambda: is_gone(ours))
    assert has_lost(ours)


def test_a_connection_closed_by_us_counts_as_gone(pair: Pair) -> None:
    ours, _ = pair
    ours.close()
    assert is_gone(ours)
    assert has_lost(ours)
