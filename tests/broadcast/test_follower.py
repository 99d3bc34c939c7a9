"""A follower: what was sent comes out in order on another thread, within its bound, until the end."""

from __future__ import annotations

import threading

import pytest

from rag_pipeline.broadcast.encoding import Batch, Packet
from rag_pipeline.broadcast.follower import Follower, FollowerEndedError


class Setup:
    def __init__(self, limit_bytes: int = 1000) -> None:
        self.left = self.dropped = 0
        self.follower = Follower("a stream", limit_bytes, self.leave, self.drop)

    def leave(self) -> None:
        self.left += 1

    def drop(self) -> None:
        self.dropped += 1


def batch(*texts: str) -> Batch:
    return Batch(tuple(Packet(text, b"", "name", "offset") for text in texts), b"")


def test_packets_come_out_in_order() -> None:
    follower = Setup().follower
    follower.send(batch("1", "22"))
    follower.send(batch("3"))
    assert follower.backlog_bytes == 4
    assert [packet.text for packet in follower.next(10)] == ["1", "22", "3"]
    assert follower.backlog_bytes == 0
    assert follower.next(0) == []


def test_a_reader_that_waits_is_woken() -> None:
    follower = Setup().follower
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.extend(packet.text for packet in follower.next(30)))
    reader.start()
    follower.send(batch("1"))
    reader.join(30)
    assert found == ["1"]


def test_one_that_does_not_keep_up_is_ended_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    setup = Setup(limit_bytes=10)
    setup.follower.send(batch("x" * 10))
    setup.follower.send(batch("y"))
    setup.follower.send(batch("z"))
    with pytest.raises(FollowerEndedError):
        setup.follower.next(0)
    assert (setup.left, setup.dropped) == (1, 1)
    assert caplog.messages == ["a stream is disconnected: 11 bytes wait for it, over 10"]


def test_what_was_sent_before_the_end_is_read_before_it() -> None:
    follower = Setup().follower
    follower.send(batch("1"))
    follower.disconnect("the end")
    assert [packet.text for packet in follower.next(0)] == ["1"]
    with pytest.raises(FollowerEndedError):
        follower.next(30)


def test_closing_takes_it_off_the_hub() -> None:
    setup = Setup()
    setup.follower.close()
    setup.follower.send(batch("1"))
    assert (setup.left, setup.dropped) == (1, 0)
    with pytest.raises(FollowerEndedError):
        setup.follower.next(30)
