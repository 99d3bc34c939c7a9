"""Raise exceptions into another thread at random moments."""

from __future__ import annotations

import contextlib
import ctypes
import random
import threading
import time
from collections.abc import Callable

from tests.support.waiting import DEADLINE_SECONDS


class Interrupt(BaseException):
    """Stands for a Ctrl+C or a soft time limit."""


def raise_into(thread: threading.Thread) -> None:
    """Raise :class:`Interrupt` in the thread, at its next bytecode."""
    assert thread.ident is not None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(Interrupt))


def interrupted(call: Callable[[], object], rng: random.Random, *, within_seconds: float, times: int) -> bool:
    """Run the call on a thread and interrupt it at random moments; return whether an interrupt ended it."""
    was_interrupted: list[bool] = []
    over = threading.Event()

    def run() -> None:
        try:
            call()
        except Interrupt:
            was_interrupted.append(True)

    def run_all() -> None:
        with contextlib.suppress(Interrupt):
            run()
        while not over.is_set():  # a new thread could get the id of one that ended, and its interrupts
            with contextlib.suppress(Interrupt):
                over.wait(DEADLINE_SECONDS)

    thread = threading.Thread(target=run_all)
    thread.start()
    for _ in range(times):
        time.sleep(rng.uniform(0, within_seconds))
        raise_into(thread)
    over.set()
    thread.join(DEADLINE_SECONDS)
    assert not thread.is_alive()
    return bool(was_interrupted)
