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


def test_items_keep_their_order_and_cause_one_wake_up() -> None:
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


def test_an_item_published_during_a_read_is_read_later() -> None:
    mailbox: Mailbox[int] = Mailbox()
    mailbox.publish(1)
    mailbox.rearm()
    assert mailbox.take() == 1
    mailbox.publish(2)
    assert readable(mailbox)
    assert drain(mailbox) == [2]
    mailbox.close()


def test_an_item_published_during_rearm_keeps_later_wake_ups(monkeypatch: pytest.MonkeyPatch) -> None:
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
    """A policy for numbers. The last digit is the sequence, the value the size; negative numbers are control messages.

    Numbers that end in 500 replace dropped ones, and are negated then.
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
"""As many items as are not weighed."""


def fill(mailbox: Mailbox[int]) -> None:
    for item in FEW:
        mailbox.publish(item)


def test_over_the_limit_items_are_dropped_until_one_replaces_them() -> None:
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


def test_a_replacement_is_marked_and_ends_the_gap() -> None:
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


def test_over_the_byte_limit_items_are_dropped_and_counted() -> None:
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


def test_a_batch_ends_once_it_is_large_enough() -> None:
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


def test_publishing_after_close_does_nothing() -> None:
    mailbox: Mailbox[int] = Mailbox()
    mailbox.publish(1)
    mailbox.close()
    mailbox.close()
    mailbox.publish(2)
    mailbox.rearm()
    assert mailbox.take() is None


def test_many_threads_lose_no_item_and_no_wake_up() -> None:
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
    """Raised into a thread at any point."""


def interrupt(thread_id: int) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), ctypes.py_object(InterruptError))


class InterruptedPublisher:
    """Publishes rising numbers while exceptions are raised into it; ``done`` has the numbers whose call returned."""

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
                self.inside = self.interrupted  # exceptions raised from here on are caught
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
def test_exceptions_in_publishing_threads_lose_and_repeat_no_item() -> None:
    """Each number whose call returned is read once and in order; one whose call was interrupted, once or never."""
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
        # As many as come in 10 seconds; on a busy machine up to a minute, until there are enough.
        while thrown < 200 or (thrown < 1000 and time.monotonic() < began + 10):
            assert time.monotonic() < began + 60, thrown
            for publisher in publishers:
                before = publisher.inside
                interrupt(publisher.thread_id)
                thrown += 1
                wait_until(lambda p=publisher, n=before: p.inside > n)  # type: ignore[misc]
            readable(mailbox, MAX_WAIT_SECONDS)  # readers look once a second in any case
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


def test_an_exception_anywhere_in_publish_leaves_no_item_unread() -> None:
    """An exception is raised before each instruction in turn: the reader still finds the appended items."""
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
    """Raise an exception before the nth instruction of the call; return whether the call ended earlier."""
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
