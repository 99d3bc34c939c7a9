"""From any thread to one: in order, none lost, one wake-up for many."""

from __future__ import annotations

import ctypes
import select
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from rag_pipeline.common.mailbox import FEW_ITEMS, MAX_WAIT_SECONDS, Mailbox
from tests.support.waiting import wait_until


def readable(mailbox: Mailbox[int], seconds: float = 0) -> bool:
    return bool(select.select([mailbox.fd], [], [], seconds)[0])


def drain(mailbox: Mailbox[int]) -> list[int]:
    mailbox.rearm()
    items = []
    while (item := mailbox.take()) is not None:
        items.append(item)
    return items


def test_items_come_out_in_order_and_make_one_wake_up() -> None:
    mailbox: Mailbox[int] = Mailbox()
    assert not readable(mailbox)
    for n in range(1, 1001):
        mailbox.publish(n)
    assert readable(mailbox)
    assert len(mailbox) == 1000
    assert drain(mailbox) == list(range(1, 1001))
    assert not readable(mailbox)
    mailbox.publish(1)
    assert readable(mailbox)
    mailbox.close()


def test_an_item_published_while_the_reader_reads_is_not_left_behind() -> None:
    mailbox: Mailbox[int] = Mailbox()
    mailbox.publish(1)
    mailbox.rearm()
    assert mailbox.take() == 1
    mailbox.publish(2)
    assert readable(mailbox)
    assert drain(mailbox) == [2]
    mailbox.close()


def test_an_item_published_in_the_middle_of_rearming_costs_no_later_wake_up(monkeypatch: pytest.MonkeyPatch) -> None:
    mailbox: Mailbox[int] = Mailbox()
    mailbox.publish(1)
    clear = mailbox._wake_up.clear

    def publish_and_clear() -> None:
        mailbox.publish(2)
        clear()

    monkeypatch.setattr(mailbox._wake_up, "clear", publish_and_clear)
    assert drain(mailbox) == [1, 2]
    mailbox.publish(3)
    assert readable(mailbox)
    mailbox.close()


class Numbers:
    """Numbers are of the sequence of their last digit and weigh as much as they are; -1 and below are control.

    Those that end in 500 stand for what was dropped, and are marked by the sign.
    """

    def weigh(self, item: int) -> int:
        return max(0, item)

    def subject(self, item: int) -> str:
        return str(item % 10)

    def is_loss(self, item: int) -> bool:
        return item % 1000 != 500

    def after_gap(self, item: int) -> int | None:
        return -item if item % 1000 == 500 else None


def bounded(limit: int = 1000, limit_bytes: int = 1 << 40) -> Mailbox[int]:
    return Mailbox(limit, policy=Numbers(), limit_bytes=limit_bytes)


FEW = [-1] * FEW_ITEMS
"""Up to here nothing is weighed."""


def fill(mailbox: Mailbox[int]) -> None:
    for item in FEW:
        mailbox.publish(item)


def test_over_the_count_events_are_dropped_up_to_one_that_stands_for_them() -> None:
    mailbox = bounded(limit=FEW_ITEMS + 2)
    fill(mailbox)
    for item in (11, 21, 31, 42, -7):
        mailbox.publish(item)
    assert mailbox.dropped == 2
    assert mailbox.gaps == ["1", "2"]
    assert drain(mailbox) == [*FEW, 11, 21, -7]
    for item in (51, 13, 500, 42, 52):
        mailbox.publish(item)
    assert drain(mailbox) == [13, 500], "sequence 0 has lost nothing, 1 and 2 have nothing yet to say so"
    mailbox.close()


def test_what_stands_for_a_gap_is_marked_and_the_sequence_goes_on() -> None:
    mailbox = bounded(limit=FEW_ITEMS)
    fill(mailbox)
    for item in (10, 20, 500):
        mailbox.publish(item)
    assert (mailbox.dropped, mailbox.gaps) == (2, ["0"])
    assert drain(mailbox) == FEW
    for item in (30, 1500, 40):
        mailbox.publish(item)
    assert drain(mailbox) == [-1500, 40]
    assert (mailbox.dropped, mailbox.gaps) == (3, [])
    mailbox.close()


def test_over_the_bytes_events_are_dropped_and_the_count_comes_right() -> None:
    mailbox = bounded(limit_bytes=1000)
    fill(mailbox)
    for item in (600, 300, 200, 100):
        mailbox.publish(item)
    assert mailbox.size_bytes == 900
    assert (drain(mailbox), mailbox.size_bytes) == ([*FEW, 600, 300], 0)
    mailbox.close()


def test_control_messages_are_never_dropped() -> None:
    mailbox = bounded(limit=1)
    for n in range(1, 5000):
        mailbox.publish(-n)
    assert drain(mailbox) == [-n for n in range(1, 5000)]
    mailbox.close()


def test_a_batch_ends_where_it_is_large_enough() -> None:
    mailbox = bounded()
    fill(mailbox)
    assert mailbox.take_batch(1000, 1) == FEW
    assert mailbox.take_batch(9, 1) == []
    for item in (5, 6, 7):
        mailbox.publish(item)
    assert mailbox.take_batch(9, 11) == [5, 6], "what was not weighed on its way in is weighed here"
    assert drain(mailbox) == [7]
    fill(mailbox)
    for item in (5, 6, 7, 8):
        mailbox.publish(item)
    assert mailbox.take_batch(FEW_ITEMS, 100) == FEW
    assert mailbox.take_batch(9, 11) == [5, 6]
    assert mailbox.take_batch(9, 11) == [7, 8]
    assert mailbox.take_batch(9, 11) == []
    mailbox.close()


def test_after_the_close_publishing_is_harmless() -> None:
    mailbox: Mailbox[int] = Mailbox()
    mailbox.publish(1)
    mailbox.close()
    mailbox.close()
    mailbox.publish(2)
    mailbox.rearm()
    assert mailbox.take() is None


def test_many_threads_lose_nothing_and_the_reader_always_wakes() -> None:
    mailbox: Mailbox[int] = Mailbox()
    count, threads = 3000, 4

    def write(base: int) -> None:
        for n in range(count):
            mailbox.publish(base + n)

    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        writers = [threading.Thread(target=write, args=(t * count,)) for t in range(threads)]
        for writer in writers:
            writer.start()
        seen: list[int] = []
        while len(seen) < count * threads:
            assert readable(mailbox, 10), "a wake-up was lost"
            seen += drain(mailbox)
        for writer in writers:
            writer.join(60)
    finally:
        sys.setswitchinterval(switch)
    for t in range(threads):
        own = [n for n in seen if n // count == t]
        assert own == list(range(t * count, (t + 1) * count))
    mailbox.close()


class InterruptError(BaseException):
    """Raised into a thread wherever it is."""


def interrupt(thread_id: int) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), ctypes.py_object(InterruptError))


class InterruptedPublisher:
    """Publishes rising numbers while others raise into it; ``done`` are those whose call came back."""

    def __init__(self, mailbox: Mailbox[int], base: int) -> None:
        self.done: list[int] = []
        self.tried = 0
        self.interrupted = 0
        self.inside = -1
        self.thread_id = 0
        self.stopping = False
        self.began, self.ended = threading.Event(), threading.Event()
        self._mailbox, self._base = mailbox, base
        threading.Thread(target=self._run, daemon=True).start()
        assert self.began.wait(30)

    def _run(self) -> None:
        self.thread_id = threading.get_ident()
        self.began.set()
        while not self.stopping:
            try:
                self.inside = self.interrupted  # what is raised from here on is caught
                while not self.stopping:
                    self.tried += 1
                    n = self._base + self.tried
                    self._mailbox.publish(n)
                    self.done.append(n)
            except InterruptError:
                self.interrupted += 1
        self.ended.set()


@pytest.mark.slow
@pytest.mark.usefixtures("bare_hooks")
def test_exceptions_raised_into_publishing_threads_lose_nothing_and_repeat_nothing() -> None:
    """Every number whose call came back is read, once, in order; one whose call was cut short is read once or never."""
    mailbox: Mailbox[int] = Mailbox()
    base = 1 << 40
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    publishers: list[InterruptedPublisher] = []
    try:
        publishers += [InterruptedPublisher(mailbox, n * base) for n in range(2)]
        wait_until(lambda: all(publisher.inside == 0 for publisher in publishers))
        seen: list[int] = []
        thrown = 0
        began = time.monotonic()
        # As many as come in 10 seconds, and on a busy machine in a minute what the test is worth something with.
        while thrown < 200 or (thrown < 1000 and time.monotonic() < began + 10):
            assert time.monotonic() < began + 60, thrown
            for publisher in publishers:
                before = publisher.inside
                interrupt(publisher.thread_id)
                thrown += 1
                wait_until(lambda p=publisher, n=before: p.inside > n)  # type: ignore[misc]
            readable(mailbox, MAX_WAIT_SECONDS)  # the reader's rule: it looks once a second in any case
            seen += drain(mailbox)
        for publisher in publishers:
            publisher.stopping = True
            assert publisher.ended.wait(30)
        seen += drain(mailbox)
    finally:
        for publisher in publishers:
            publisher.stopping = True
        sys.setswitchinterval(switch)
    for nth, publisher in enumerate(publishers):
        assert publisher.interrupted >= 100
        own = [n for n in seen if n // base == nth]
        assert own == sorted(set(own)), "in order, each once"
        assert set(publisher.done) <= set(own)
        assert len(own) - len(publisher.done) <= publisher.interrupted
    mailbox.publish(-1)
    assert readable(mailbox, 10), "the next item wakes the reader again"
    assert drain(mailbox) == [-1]
    mailbox.close()


def test_an_exception_anywhere_in_publishing_leaves_no_item_behind() -> None:
    """One is raised ahead of each instruction in turn: the reader's next look finds what was appended."""
    for instruction in range(1000):
        mailbox: Mailbox[int] = Mailbox()
        finished = raise_at(instruction, lambda: mailbox.publish(1))  # noqa: B023 - called right here
        found = drain(mailbox)
        assert found in ([1], []) if not finished else found == [1]
        mailbox.publish(2)
        assert readable(mailbox), f"no wake-up after an exception at instruction {instruction}"
        assert drain(mailbox) == [2]
        mailbox.close()
        if finished:
            break
    assert 20 < instruction < 999


def raise_at(instruction: int, call: Callable[[], None]) -> bool:
    """Raise into the call ahead of its nth instruction; return whether it came to its end before."""
    left = instruction

    def trace(frame: FrameType, event: str, _arg: object) -> Any:
        nonlocal left
        if "mailbox" not in frame.f_code.co_filename and "native" not in frame.f_code.co_filename:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            left -= 1
            if left < 0:
                raise InterruptError
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
        return True
    except InterruptError:
        return False
    finally:
        sys.settrace(before)
