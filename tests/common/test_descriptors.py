from __future__ import annotations

import resource

import pytest

from rag_pipeline.common import descriptors
from rag_pipeline.common.descriptors import DescriptorBudget


class Limits:
    """Limits of the process that a test sets."""

    def __init__(self, soft: int, hard: int) -> None:
        self.now = (soft, hard)
        self.refuses = False

    def get(self, _which: int) -> tuple[int, int]:
        return self.now

    def set(self, _which: int, limits: tuple[int, int]) -> None:
        if self.refuses:
            raise ValueError("not allowed")
        self.now = limits


def limits(monkeypatch: pytest.MonkeyPatch, soft: int, hard: int) -> Limits:
    made = Limits(soft, hard)
    monkeypatch.setattr(resource, "getrlimit", made.get)
    monkeypatch.setattr(resource, "setrlimit", made.set)
    return made


@pytest.mark.parametrize(
    ("soft", "hard", "raised"),
    [
        (1024, 4096, 4096),
        (1024, 1024, 1024),
        (1024, resource.RLIM_INFINITY, descriptors.MOST_DESCRIPTORS),
        (1024, 1 << 30, descriptors.MOST_DESCRIPTORS),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, resource.RLIM_INFINITY),
    ],
)
def test_the_soft_limit_is_raised_to_the_hard_limit(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, raised: int
) -> None:
    made = limits(monkeypatch, soft, hard)
    descriptors.raise_soft_limit()
    assert made.now == (raised, hard)


def test_a_system_that_refuses_to_raise_the_limit_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    made = limits(monkeypatch, 256, 4096)
    made.refuses = True
    descriptors.raise_soft_limit()
    assert made.now == (256, 4096)


@pytest.mark.parametrize(("soft", "capacity"), [(1024, 768), (256, 192), (65_536, 64_512), (1, 1)])
def test_the_capacity_leaves_a_reserve(monkeypatch: pytest.MonkeyPatch, soft: int, capacity: int) -> None:
    limits(monkeypatch, soft, soft)
    assert descriptors.capacity() == capacity


def test_two_ports_share_the_budget_and_each_keeps_its_guaranteed_part() -> None:
    budget = DescriptorBudget(lambda: 100)
    one, other = budget.share(10), budget.share(10)
    assert sum(one.take() for _ in range(200)) == 90
    assert one.most == 90
    assert sum(other.take() for _ in range(200)) == 10
    one.give_back()
    assert other.take()
    assert not one.take()
    one.close()
    one.close()
    assert other.most == 100


def test_the_guaranteed_part_never_exceeds_a_quarter_of_the_budget() -> None:
    budget = DescriptorBudget(lambda: 8)
    one = budget.share(64)
    budget.share(64)
    assert one.most == 6


def test_a_forked_child_starts_empty() -> None:
    budget = DescriptorBudget(lambda: 3)
    share = budget.share(0)
    assert [share.take() for _ in range(4)] == [True, True, True, False]
    budget.renew()
    assert budget.share(0).most == 3
