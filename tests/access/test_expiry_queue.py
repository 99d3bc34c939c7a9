"""Expiries against the plain thing: a dictionary that is searched."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rag_pipeline.access.expiry_queue import MAX_DELETED, ExpiryQueue

KEYS = st.integers(0, 3)
TIMES = st.integers(0, 9)


class Comparing(RuleBasedStateMachine):
    """Does the same to both."""

    def __init__(self) -> None:
        super().__init__()
        self.expiries: ExpiryQueue[int] = ExpiryQueue()
        self.plain: dict[int, int] = {}

    @rule(key=KEYS, at=TIMES)
    def add(self, key: int, at: int) -> None:
        self.expiries.add(key, at)
        self.plain[key] = at

    @rule(key=KEYS)
    def discard(self, key: int) -> None:
        self.expiries.discard(key)
        self.plain.pop(key, None)

    @rule(now=TIMES, limit=st.integers(1, 5))
    def due(self, now: int, limit: int) -> None:
        found = self.expiries.due(now, limit)
        ended = [key for key, at in self.plain.items() if at <= now]
        assert len(found) == min(limit, len(ended))
        assert set(found) <= set(ended)
        assert all(self.plain[key] <= self.plain[other] for key in found for other in set(ended) - set(found))
        assert [self.plain[key] for key in found] == sorted(self.plain[key] for key in found)
        for key in found:
            del self.plain[key]

    @invariant()
    def knows_as_many(self) -> None:
        assert len(self.expiries) == len(self.plain)


TestComparing = Comparing.TestCase


def test_a_key_ends_at_the_time_that_was_said_last() -> None:
    expiries: ExpiryQueue[str] = ExpiryQueue()
    expiries.add("later", 1.0)
    expiries.add("later", 5.0)
    expiries.add("sooner", 9.0)
    expiries.add("sooner", 2.0)
    assert expiries.due(3.0, 9) == ["sooner"]
    assert expiries.due(9.0, 9) == ["later"]


def test_those_who_left_early_do_not_pile_up() -> None:
    expiries: ExpiryQueue[int] = ExpiryQueue()
    for number in range(100_000):
        expiries.add(number, 1e9 + number)
        if number >= 10:
            expiries.discard(number - 10)
    assert len(expiries) == 10
    assert len(expiries._heap) <= 2 * 10 + MAX_DELETED + 1
    assert len(expiries.due(2e9, 99)) == 10
