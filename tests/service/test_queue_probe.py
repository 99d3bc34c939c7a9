"""A marker sent through a queue tells whether its reader is stuck or slow."""

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


def test_a_marker_that_arrives_measures_the_queue() -> None:
    queue = Queue()
    probe = QueueProbe(queue.put, lambda: queue.turned_at)
    probe.begin()
    queue.turn()
    progress = probe.result(time.monotonic() + 30)
    assert (progress.stuck, progress.slow) == (False, False)
    assert 0 <= progress.oldest_seconds < 30


def test_an_unread_queue_is_stuck_and_gets_only_one_marker() -> None:
    queue = Queue()
    queue.turned_at = time.monotonic() - 100
    probe = QueueProbe(queue.put, lambda: queue.turned_at)
    for _ in range(3):
        probe.begin()
        progress = probe.result(time.monotonic())
        assert progress.stuck
        assert progress.oldest_seconds >= 100  # the age of the reader's last turn, not of the marker
    assert len(queue.items) == 1
    queue.turn()
    probe.begin()
    queue.turn()
    assert not probe.result(time.monotonic() + 30).stuck


def test_a_queue_whose_reader_makes_turns_is_slow() -> None:
    turns = iter([1.0, 2.0])
    probe = QueueProbe(lambda _: None, lambda: next(turns))
    probe.begin()
    assert probe.result(time.monotonic()).slow


def test_before_the_first_turn_the_marker_is_the_oldest_item() -> None:
    probe = QueueProbe(lambda _: None, lambda: 0.0)
    probe.begin()
    progress = probe.result(time.monotonic())
    assert progress.stuck
    assert progress.oldest_seconds < 30
