"""Messages of real forked children: whole, in order, none lost, and no child waits."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator

import pytest

from rag_pipeline.adapters import celery_channel
from rag_pipeline.adapters.celery_channel import MAX_MESSAGE_BYTES, Channel
from tests.support.waiting import wait_until


@pytest.fixture
def channel() -> Iterator[Channel]:
    channel = Channel()
    yield channel
    channel.close()


def child(channel: Channel, name: str, number: int, size: int = 10) -> int:
    """Fork a child that sends so many messages and exits once they are sent; return its pid."""
    pid = os.fork()
    if pid:
        return pid
    try:
        channel.after_fork()
        for index in range(number):
            channel.send(f"{name} {index} ".encode().ljust(size, b"."))
        os._exit(0 if channel.flush(30) else 1)
    finally:
        os._exit(2)


def receive(channel: Channel) -> tuple[list[bytes], threading.Thread]:
    received: list[bytes] = []
    thread = threading.Thread(target=channel.receive, args=(received.append,))
    thread.start()
    return received, thread


@pytest.mark.parametrize("size", [10, 1000, MAX_MESSAGE_BYTES])
def test_messages_of_several_children_arrive_whole_in_order_and_once(channel: Channel, size: int) -> None:
    names = ("a", "b", "c")
    pids = [child(channel, name, 300, size) for name in names]
    received, thread = receive(channel)
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids] == [0, 0, 0]
    channel.end()
    thread.join(30)
    words = [message.decode().split()[:2] for message in received]
    assert {len(message) for message in received} == {size} if size > 10 else True
    for name in names:
        assert [int(index) for one, index in words if one == name] == list(range(300))


def test_while_no_one_reads_a_child_goes_on_and_what_waits_arrives_later(channel: Channel) -> None:
    for index in range(2000):  # more than the kernel takes
        channel.send(str(index).encode())
    assert not channel.flush(0.01)
    received, thread = receive(channel)
    assert channel.flush(30)
    channel.end()
    thread.join(30)
    assert received == [str(index).encode() for index in range(2000)]


def test_what_waits_is_bounded_and_what_is_dropped_is_logged_once(
    channel: Channel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(celery_channel, "MAX_WAITING", 5)
    with caplog.at_level(logging.WARNING):
        for _ in range(2000):
            channel.send(b"x")
    assert len(channel._waiting) <= 5
    assert len(caplog.records) == 1
    received, thread = receive(channel)
    wait_until(lambda: not channel._waiting)
    channel.end()
    thread.join(30)
    assert 5 < len(received) < 2000


def test_without_a_reader_messages_are_dropped_and_nothing_waits() -> None:
    channel = Channel()
    channel._reading.close()
    for _ in range(100):
        channel.send(b"x")
    assert not channel._waiting
    channel.close()


def test_a_reader_that_goes_away_ends_the_waiting(channel: Channel) -> None:
    for _ in range(2000):
        channel.send(b"x")
    channel._reading.close()
    assert channel.flush(30)
    assert not channel._waiting


def test_a_message_that_is_too_long_is_an_error(channel: Channel) -> None:
    with pytest.raises(ValueError, match="at most 32768 bytes, not 32769"):
        channel.send(b"x" * (MAX_MESSAGE_BYTES + 1))
