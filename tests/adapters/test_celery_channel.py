"""Messages of real forked children."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator

import pytest

from rag_pipeline.adapters import celery_channel
from rag_pipeline.adapters.celery_channel import MAX_MESSAGE_BYTES, ReportChannel
from tests.support.waiting import wait_until


@pytest.fixture
def channel() -> Iterator[ReportChannel]:
    channel = ReportChannel()
    yield channel
    channel.close()


def child(channel: ReportChannel, name: str, number: int, size: int = 10) -> int:
    """Fork a child that sends ``count`` messages and exits; return its pid."""
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


def receive(channel: ReportChannel) -> tuple[list[bytes], threading.Thread]:
    received: list[bytes] = []
    thread = threading.Thread(target=channel.receive, args=(received.append,))
    thread.start()
    return received, thread


@pytest.mark.slow
@pytest.mark.parametrize("size", [10, 1000, MAX_MESSAGE_BYTES])
def test_messages_of_several_children_arrive_whole_in_order_and_once(channel: ReportChannel, size: int) -> None:
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


def test_without_a_reader_children_go_on_and_their_messages_arrive_later(channel: ReportChannel) -> None:
    for index in range(2000):  # more than the kernel buffers
        channel.send(str(index).encode())
    assert not channel.flush(0.01)
    received, thread = receive(channel)
    assert channel.flush(30)
    channel.end()
    thread.join(30)
    assert received == [str(index).encode() for index in range(2000)]


def test_waiting_messages_are_bounded_and_drops_are_logged_once(
    channel: ReportChannel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
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


def test_after_the_reader_has_closed_messages_are_dropped() -> None:
    channel = ReportChannel()
    channel._reading.close()
    for _ in range(100):
        channel.send(b"x")
    assert not channel._waiting
    channel.close()


def test_a_reader_that_closes_ends_the_sending_thread(channel: ReportChannel) -> None:
    for _ in range(2000):
        channel.send(b"x")
    channel._reading.close()
    assert channel.flush(30)
    assert not channel._waiting


def test_a_too_long_message_is_an_error(channel: ReportChannel) -> None:
    with pytest.raises(ValueError, match="at most 32768 bytes, not 32769"):
        channel.send(b"x" * (MAX_MESSAGE_BYTES + 1))
