"""Deadlines and ages of waiting clients."""

from __future__ import annotations

from rag_pipeline.http_server.waiting import WaitFor, WaitingClients

SECONDS = {WaitFor.BEGIN: 15.0, WaitFor.HEAD: 10.0, WaitFor.READ: 10.0, WaitFor.END: 1.0}


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_each_kind_of_wait_has_its_deadline() -> None:
    clock = Clock()
    waiting: WaitingClients[str] = WaitingClients(SECONDS, clock)
    waiting.wait("idle", WaitFor.BEGIN)
    waiting.wait("ending", WaitFor.END)
    assert waiting.seconds_left(60.0) == 1.0
    clock.now += 1.0
    assert waiting.expired() == [("ending", WaitFor.END)]
    waiting.forget("ending")
    assert waiting.seconds_left(60.0) == 14.0
    assert waiting.seconds_left(0.5) == 0.5
    clock.now += 20.0
    assert waiting.expired() == [("idle", WaitFor.BEGIN)]
    assert waiting.seconds_left(60.0) == 0.0


def test_a_client_keeps_its_age_until_it_is_forgotten() -> None:
    waiting: WaitingClients[str] = WaitingClients(SECONDS, Clock())
    for name in "abc":
        waiting.wait(name, WaitFor.BEGIN)
    waiting.wait("a", WaitFor.HEAD)
    assert waiting.kind_of("a") is WaitFor.HEAD
    assert waiting.oldest(2) == ["a", "b"]
    waiting.forget("a")
    waiting.wait("a", WaitFor.BEGIN)
    assert waiting.oldest(9) == ["b", "c", "a"]
    assert len(waiting) == 3
    assert "a" in waiting


def test_an_unknown_client_can_be_forgotten() -> None:
    waiting: WaitingClients[str] = WaitingClients(SECONDS)
    waiting.forget("a")
    assert waiting.kind_of("a") is None
    assert waiting.expired() == []
