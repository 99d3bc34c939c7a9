"""A follower returns what it was sent, in order and on another thread, within its limit, until it is closed."""

from __future__ import annotations

import threading

import pytest

from rag_pipeline.broadcast.encoding import Packet, PacketBatch
from rag_pipeline.broadcast.follower import EventFollower, FollowerClosedError


class Setup:
    def __init__(self, limit_bytes: int = 1000) -> None:
        self.left = self.dropped = 0
        self.follower = EventFollower("a stream", limit_bytes, leave=self.leave, dropped=self.drop)

    def leave(self) -> None:
        self.left += 1

    def drop(self) -> None:
        self.dropped += 1


def batch(*texts: str) -> PacketBatch:
    return PacketBatch(tuple(Packet(text, b"", "name", "offset") for text in texts), b"")


def test_packets_come_out_in_order() -> None:
    follower = Setup().follower
    follower.send(batch("1", "22"))
    follower.send(batch("3"))
    assert follower.backlog_bytes == 4
    assert [packet.text for packet in follower.next(10)] == ["1", "22", "3"]
    assert follower.backlog_bytes == 0
    assert follower.next(0) == []


def test_sending_wakes_the_reader() -> None:
    follower = Setup().follower
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.extend(packet.text for packet in follower.next(30)))
    reader.start()
    follower.send(batch("1"))
    reader.join(30)
    assert found == ["1"]


def test_a_slow_follower_is_closed_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    setup = Setup(limit_bytes=10)
    setup.follower.send(batch("x" * 10))
    setup.follower.send(batch("y"))
    setup.follower.send(batch("z"))
    with pytest.raises(FollowerClosedError):
        setup.follower.next(0)
    assert (setup.left, setup.dropped) == (1, 1)
    assert caplog.messages == ["a stream is disconnected: 11 bytes wait for it, over 10"]


def test_packets_sent_before_the_end_are_read_first() -> None:
    follower = Setup().follower
    follower.send(batch("1"))
    follower.disconnect("the end")
    assert [packet.text for packet in follower.next(0)] == ["1"]
    with pytest.raises(FollowerClosedError):
        follower.next(30)


def test_closing_leaves_the_hub() -> None:
    setup = Setup()
    setup.follower.close()
    setup.follower.send(batch("1"))
    assert (setup.left, setup.dropped) == (1, 0)
    with pytest.raises(FollowerClosedError):
        setup.follower.next(30)


# -- the expiry of a token ---------------------------------------------------------------------------------------------


def test_a_follower_ends_when_its_token_expires() -> None:
    now = 100.0
    follower = EventFollower(
        "a stream", 1000, leave=lambda: None, dropped=lambda: None, expires_at=160.0, clock=lambda: now
    )
    follower.send(batch("1"))
    assert [packet.text for packet in follower.next(1)] == ["1"]
    now = 160.0
    with pytest.raises(FollowerClosedError, match="token has expired"):
        follower.next(1)


def test_a_read_does_not_wait_past_the_expiry(monkeypatch: pytest.MonkeyPatch) -> None:
    follower = EventFollower(
        "a stream", 1000, leave=lambda: None, dropped=lambda: None, expires_at=100.5, clock=lambda: 100.0
    )
    waits: list[float] = []
    monkeypatch.setattr(follower._signal, "wait", waits.append)
    assert follower.next(10.0) == []
    assert waits == [0.5]
