from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator

import pytest

from rag_pipeline.status import clocks
from rag_pipeline.status.clocks import MAX_READINGS, SAME_INSTANT_SECONDS, read


@pytest.fixture
def lose(monkeypatch: pytest.MonkeyPatch) -> Callable[[Iterator[float]], None]:
    """Return a function that sets how many seconds pass after each reading."""

    def set_up(lost: Iterator[float]) -> None:
        seconds = 0.0

        def tick() -> float:
            nonlocal seconds
            seconds += next(lost)
            return seconds

        monkeypatch.setattr(clocks, "monotonic", tick)
        monkeypatch.setattr(clocks, "wall", tick)

    return set_up


def test_read_returns_the_present_moment() -> None:
    before = time.time(), time.monotonic()
    wall, mono = read()
    assert before[0] <= wall <= time.time()
    assert before[1] <= mono <= time.monotonic()


@pytest.mark.parametrize("suspended_at", range(6))
def test_a_thread_suspended_between_two_readings_reads_again(
    lose: Callable[[Iterator[float]], None], suspended_at: int
) -> None:
    lose(0.05 if reading == suspended_at else 0.0 for reading in itertools.count())
    wall, mono = read()
    assert abs(wall - mono) < SAME_INSTANT_SECONDS


def test_read_ends_on_any_slow_machine(lose: Callable[[Iterator[float]], None]) -> None:
    lose(iter([0.05] * 3 * MAX_READINGS))
    wall, mono = read()
    assert mono - wall == pytest.approx(0.05)
