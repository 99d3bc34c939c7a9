"""From any thread to one: in order, none lost, one wake-up for many."""

from __future__ import annotations

import select
import sys
import threading

import pytest

from rag_pipeline.handover import Handover


def readable(handover: Handover[int], seconds: float = 0) -> bool:
    return bool(select.select([handover.fd], [], [], seconds)[0])


def drain(handover: Handover[int]) -> list[int]:
    handover.rearm()
    items = []
    while (item := handover.take()) is not None:
        items.append(item)
    return items


def test_items_come_out_in_order_and_make_one_wake_up() -> None:
    handover: Handover[int] = Handover()
    assert not readable(handover)
    for n in range(1, 1001):
        handover.publish(n)
    assert readable(handover)
    assert len(handover) == 1000
    assert drain(handover) == list(range(1, 1001))
    assert not readable(handover)
    handover.publish(1)
    assert readable(handover)
    handover.close()


def test_an_item_published_while_the_reader_reads_is_not_left_behind() -> None:
    handover: Handover[int] = Handover()
    handover.publish(1)
    handover.rearm()
    assert handover.take() == 1
    handover.publish(2)
    assert readable(handover)
    assert drain(handover) == [2]
    handover.close()


def test_an_item_published_in_the_middle_of_rearming_costs_no_later_wake_up(monkeypatch: pytest.MonkeyPatch) -> None:
    handover: Handover[int] = Handover()
    handover.publish(1)
    clear = handover._wake_up.clear

    def publish_and_clear() -> None:
        handover.publish(2)
        clear()

    monkeypatch.setattr(handover._wake_up, "clear", publish_and_clear)
    assert drain(handover) == [1, 2]
    handover.publish(3)
    assert readable(handover)
    handover.close()


def test_over_the_limit_the_reader_learns_of_it() -> None:
    handover: Handover[int] = Handover(limit=3)
    for n in range(5):
        handover.publish(n)
    assert handover.overflowed
    assert drain(handover) == [0, 1, 2]
    handover.overflowed = False
    handover.publish(9)
    assert (drain(handover), handover.overflowed) == ([9], False)
    handover.close()


def test_after_the_close_publishing_is_harmless() -> None:
    handover: Handover[int] = Handover()
    handover.publish(1)
    handover.close()
    handover.close()
    handover.publish(2)
    handover.rearm()
    assert handover.take() is None


def test_many_threads_lose_nothing_and_the_reader_always_wakes() -> None:
    handover: Handover[int] = Handover()
    count, threads = 3000, 4

    def write(base: int) -> None:
        for n in range(count):
            handover.publish(base + n)

    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        writers = [threading.Thread(target=write, args=(t * count,)) for t in range(threads)]
        for writer in writers:
            writer.start()
        seen: list[int] = []
        while len(seen) < count * threads:
            assert readable(handover, 10), "a wake-up was lost"
            seen += drain(handover)
        for writer in writers:
            writer.join(60)
    finally:
        sys.setswitchinterval(switch)
    for t in range(threads):
        own = [n for n in seen if n // count == t]
        assert own == list(range(t * count, (t + 1) * count))
    handover.close()
