"""The deck of faults, and a short run over a real folder and a real process."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.faults.run import QUICK_CARDS, deck
from benchmarks.faults.world import Card


def cards() -> list[Card]:
    return [Card(str(number), lambda: None, 1 + number % 3) for number in range(12)]


def names(dealt: list[Card]) -> list[str]:
    return [card.name for card in dealt]


def test_a_run_has_each_fault_and_a_long_one_as_often_as_it_wants() -> None:
    assert Counter(names(deck(cards(), random.Random(1), quick=False))) == {str(n): 1 for n in range(12)}
    long = deck(cards(), random.Random(1), quick=False, long=True)
    assert Counter(names(long)) == {str(n): 1 + n % 3 for n in range(12)}
    assert len(deck(cards(), random.Random(1), quick=True)) == QUICK_CARDS


def test_the_seed_decides_the_order() -> None:
    first, again, other = (names(deck(cards(), random.Random(seed), quick=False)) for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.slow
def test_a_short_run_over_a_real_folder_and_process_finds_nothing_wrong() -> None:
    root = Path(__file__).parents[3]
    command = [sys.executable, "-m", "benchmarks.faults", "local-files", "--seed", "1", "--quick"]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=280, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "| missing | 0 |" in run.stdout
