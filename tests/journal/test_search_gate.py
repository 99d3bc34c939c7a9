"""The limit of concurrent searches."""

from __future__ import annotations

import threading

import pytest

from rag_pipeline.errors import JournalBusyError
from rag_pipeline.journal.search_gate import SearchGate

SECONDS = 30.0


def test_one_search_too_many_fails_at_once_and_frees_its_place() -> None:
    gate = SearchGate(most=1)
    with gate.enter():
        for _ in range(3):
            with pytest.raises(JournalBusyError, match="try again"), gate.enter():
                pass
    with gate.enter():
        pass


def test_a_search_that_does_not_get_its_turn_fails_in_time() -> None:
    gate = SearchGate(most=2, patience_seconds=0.01)
    with gate.enter(), pytest.raises(JournalBusyError), gate.enter():
        pass
    with gate.enter():
        pass


def test_one_runs_at_a_time() -> None:
    gate = SearchGate(most=20, patience_seconds=SECONDS)
    inside: list[int] = []
    most: list[int] = []

    def search() -> None:
        for _ in range(50):
            with gate.enter():
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=search) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert max(most) == 1
    assert len(most) == 400


def test_a_search_that_fails_lets_the_next_one_in() -> None:
    gate = SearchGate(most=1)
    with pytest.raises(ValueError, match="broken"), gate.enter():
        raise ValueError("broken")
    with gate.enter():
        pass
