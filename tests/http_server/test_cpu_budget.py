"""The CPU time that responses may take."""

from __future__ import annotations

import pytest

from rag_pipeline.http_server.cpu_budget import MOST_COUNTED_SECONDS, CpuBudget


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def spend(budget: CpuBudget, seconds: float) -> None:
    for _ in range(round(seconds / MOST_COUNTED_SECONDS)):
        budget.spend(MOST_COUNTED_SECONDS)


def test_a_spent_burst_refills_at_the_share(clock: Clock) -> None:
    budget = CpuBudget(0.25, 1.0, clock)
    spend(budget, 0.9)
    assert budget.has_left()
    spend(budget, 0.15)
    assert not budget.has_left()
    clock.now += 0.3
    assert budget.has_left()


def test_the_budget_never_exceeds_the_burst(clock: Clock) -> None:
    budget = CpuBudget(0.25, 1.0, clock)
    clock.now += 1000
    spend(budget, 1.01)
    assert not budget.has_left()


def test_one_expensive_response_does_not_use_up_the_budget(clock: Clock) -> None:
    budget = CpuBudget(0.25, 0.02, clock)
    budget.spend(60.0)
    assert budget.has_left()
