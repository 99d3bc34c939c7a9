"""Pings and the turns of polling clients, on a fake clock."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from rag_pipeline.socket_server import schedulers
from rag_pipeline.socket_server.schedulers import POLLS_A_TURN, PingScheduler, PollScheduler


class Clock:
    """A loop with a fake clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.wakes = 0

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Any:
        timer = (self.now + seconds, callback)
        self.timers.append(timer)
        return SimpleNamespace(cancel=lambda: self.timers.remove(timer))

    def pass_to(self, now: float) -> None:
        while self.timers and (first := min(self.timers, key=lambda timer: timer[0]))[0] <= now:
            self.timers.remove(first)
            self.now = max(self.now, first[0])
            self.wakes += 1
            first[1]()
        self.now = now


class Session:
    """The part of a session that the schedulers use."""

    closed = closing = False

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.last_ping: float | None = None
        self.pings: list[float] = []
        self.ended: list[float] = []
        self.releases = 0

    def send(self, pkt: object) -> None:
        self.pings.append(self._clock.now)

    def close(self, wait: bool = True, abort: bool = False, reason: str | None = None) -> None:
        self.closed = True
        self.ended.append(self._clock.now)

    def release(self) -> None:
        self.releases += 1


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(schedulers, "time", SimpleNamespace(time=lambda: clock.now, monotonic=lambda: clock.now))
    return clock


def pings(clock: Clock, interval: float, timeout: float) -> PingScheduler:
    return PingScheduler(clock, interval, timeout, "ping timeout")  # type: ignore[arg-type]


def test_a_silent_client_is_pinged_and_closed_on_time(clock: Clock) -> None:
    scheduler, session = pings(clock, 0.3, 0.2), Session(clock)
    scheduler.schedule(session)
    clock.pass_to(1010.0)
    assert session.pings == pytest.approx([1000.3])
    assert session.ended == pytest.approx([1000.5])
    assert clock.timers == [], "no client, no timer"


def test_a_client_that_answers_stays(clock: Clock) -> None:
    scheduler, session = pings(clock, 25.0, 20.0), Session(clock)
    scheduler.schedule(session)
    for _ in range(5):
        clock.pass_to(clock.now + 26)
        session.last_ping = None
        scheduler.schedule(session)
    assert len(session.pings) == 5
    assert session.ended == []


def test_pings_that_are_due_within_a_short_time_share_a_turn(clock: Clock) -> None:
    scheduler = pings(clock, 25.0, 20.0)
    sessions = [Session(clock) for _ in range(1000)]
    for number, session in enumerate(sessions):
        clock.pass_to(1000 + number / 1000)
        scheduler.schedule(session)
    clock.pass_to(1030.0)
    assert all(len(session.pings) == 1 for session in sessions)
    assert clock.wakes <= 1.0 / (25.0 / 300) + 2


def test_an_interval_that_is_shorter_than_the_timeout_is_kept(clock: Clock) -> None:
    scheduler, first, second = pings(clock, 1.0, 50.0), Session(clock), Session(clock)
    scheduler.schedule(first)
    clock.pass_to(1001.0)
    scheduler.schedule(second)
    clock.pass_to(1002.0)
    assert second.pings == pytest.approx([1002.0])


def test_closed_sessions_are_freed_before_their_pings_are_due(clock: Clock) -> None:
    scheduler, session = pings(clock, 25.0, 20.0), Session(clock)
    scheduler.schedule(session)
    del session
    clock.pass_to(1050.0)
    assert clock.timers == []


def test_polling_clients_get_their_packets_a_few_at_a_time(clock: Clock) -> None:
    polls = PollScheduler(clock)  # type: ignore[arg-type]
    sessions = [Session(clock) for _ in range(3 * POLLS_A_TURN)]
    for session in sessions:
        polls.schedule(session)
        polls.schedule(session)
    clock.timers.pop(0)[1]()
    assert sum(session.releases for session in sessions) == POLLS_A_TURN
    clock.pass_to(1000.0)
    assert [session.releases for session in sessions] == [1] * len(sessions)
