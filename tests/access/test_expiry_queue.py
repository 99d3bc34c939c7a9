"""The expiry queue, compared with a plain dictionary."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rag_pipeline.access.expiry_queue import MAX_DELETED, ExpiryQueue

KEYS = st.integers(0, 3)
TIMES = st.integers(0, 9)


class Comparing(RuleBasedStateMachine):
    """Applies each step to both."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: ExpiryQueue[int] = ExpiryQueue()
        self.plain: dict[int, int] = {}

    @rule(key=KEYS, at=TIMES)
    def add(self, key: int, at: int) -> None:
        self.queue.add(key, at)
        self.plain[key] = at

    @rule(key=KEYS)
    def discard(self, key: int) -> None:
        self.queue.discard(key)
        self.plain.pop(key, None)

    @rule(now=TIMES, limit=st.integers(1, 5))
    def due(self, now: int, limit: int) -> None:
        found = self.queue.due(now, limit)
        ended = [key for key, at in self.plain.items() if at <= now]
        assert len(found) == min(limit, len(ended))
        assert set(found) <= set(ended)
        assert all(self.plain[key] <= self.plain[other] for key in found for other in set(ended) - set(found))
        assert [self.plain[key] for key in found] == sorted(self.plain[key] for key in found)
        for key in found:
            del self.plain[key]

    @invariant()
    def have_the_same_length(self) -> None:
        assert len(self.queue) == len(self.plain)


TestComparing = pytest.mark.slow(Comparing.TestCase)


def test_the_last_expiry_time_of_a_key_counts() -> None:
    queue: ExpiryQueue[str] = ExpiryQueue()
    queue.add("later", 1.0)
    queue.add("later", 5.0)
    queue.add("sooner", 9.0)
    queue.add("sooner", 2.0)
    assert queue.due(3.0, 9) == ["sooner"]
    assert queue.due(9.0, 9) == ["later"]


def test_deleted_keys_do_not_pile_up() -> None:
    queue: ExpiryQueue[int] = ExpiryQueue()
    for number in range(100_000):
        queue.add(number, 1e9 + number)
        if number >= 10:
            queue.discard(number - 10)
    assert len(queue) == 10
    assert len(queue._heap) <= 2 * 10 + MAX_DELETED + 1
    assert len(queue.due(2e9, 99)) == 10
