"""How the time that work takes grows with the size of what it is given: linear work is told from quadratic by far."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

# Ten times the text takes linear work ten times as long, and quadratic work a hundred times.
STEP = 10
_MOST_GROWTH = 40
# What is faster than this is not told apart from the noise of the machine.
_NOISE_SECONDS = 0.01


def assert_linear(work: Callable[[int], Callable[[], object]], sizes: Sequence[int], what: object) -> None:
    """Fail if the work that ``work`` returns for a size takes over forty times as long for ten times the size.

    Counted is processor time of this thread, the least of three tries, so that other work on the machine is not.
    """
    before = 0.0
    for size in sizes:
        doing = work(size)
        most = _MOST_GROWTH * before + _NOISE_SECONDS
        taken = most
        for _ in range(3):
            begun = time.thread_time()
            doing()
            taken = min(taken, time.thread_time() - begun)
            if taken < most / 2:
                break
        assert taken < most, f"{what}: {taken:.3f} s for {size:,}, {before:.4f} s for {size // STEP:,}"
        before = taken


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the main thread when the time is up, also out of a regular expression."""

    def expire(*_: object) -> None:
        raise TimeoutError

    former = signal.signal(signal.SIGALRM, expire)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
