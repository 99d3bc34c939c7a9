"""What a mark that is sent through a queue tells of it."""

from __future__ import annotations

import time
from collections.abc import Callable

from rag_pipeline.service.queue_probe import QueueProbe


class Queue:
    """A queue whose reader makes a turn when the test says so."""

    def __init__(self) -> None:
        self.items: list[Callable[[], None]] = []
        self.turned_at = 0.0

    def put(self, item: Callable[[], None]) -> None:
        self.items.append(item)

    def turn(self) -> None:
        self.turned_at = time.monotonic()
        items, self.items = self.items, []
        for item in items:
            item()


def test_a_mark_that_arrives_says_how_long_it_took() -> None:
    queue = Queue()
    pulse = QueueProbe(queue.put, lambda: queue.turned_at)
    pulse.begin()
    queue.turn()
    moves = pulse.result(time.monotonic() + 30)
    assert (moves.stuck, moves.slow) == (False, False)
    assert 0 <= moves.oldest_seconds < 30


def test_a_queue_that_nobody_reads_is_stuck_and_gets_one_mark_only() -> None:
    queue = Queue()
    queue.turned_at = time.monotonic() - 100
    pulse = QueueProbe(queue.put, lambda: queue.turned_at)
    for _ in range(3):
        pulse.begin()
        moves = pulse.result(time.monotonic())
        assert moves.stuck
        assert moves.oldest_seconds >= 100  # as long as the reader is away, not as long as the mark waits
    assert len(queue.items) == 1
    queue.turn()
    pulse.begin()
    queue.turn()
    assert not pulse.result(time.monotonic() + 30).stuck


def test_a_queue_whose_reader_makes_turns_is_slow_and_not_stuck() -> None:
    turns = iter([1.0, 2.0])
    pulse = QueueProbe(lambda _: None, lambda: next(turns))
    pulse.begin()
    assert pulse.result(time.monotonic()).slow


def test_before_the_first_turn_the_mark_is_what_waits() -> None:
    pulse = QueueProbe(lambda _: None, lambda: 0.0)
    pulse.begin()
    moves = pulse.result(time.monotonic())
    assert moves.stuck
    assert moves.oldest_seconds < 30
