"""Tell linear work from quadratic work by how its CPU time grows with its input."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

# For ten times the input, linear work takes ten times as long, quadratic work a hundred times.
STEP = 10
_MAX_GROWTH = 40
# Below this, work can't be told from the noise of the machine.
_NOISE_SECONDS = 0.01


def assert_linear(prepare: Callable[[int], Callable[[], object]], sizes: Sequence[int], what: object) -> None:
    """Fail if the work takes over 40 times as long for ten times the size.

    ``prepare(size)`` returns the work; each size is ten times the one before. The time is this thread's CPU time, the
    least of three tries, so other work on the machine does not count. The first size only gives a time to compare with.
    """
    before = math.inf
    for size in sizes:
        work = prepare(size)
        bound = _MAX_GROWTH * before + _NOISE_SECONDS
        taken = bound
        for _ in range(3):
            start = time.thread_time()
            work()
            taken = min(taken, time.thread_time() - start)
            if taken < bound / 2:
                break
        assert taken < bound, f"{what}: {taken:.3f} s for {size:,}, {before:.4f} s for {size // STEP:,}"
        before = taken


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the main thread when the time is up, even inside a regular expression."""

    def expire(*_: object) -> None:
        raise TimeoutError

    former = signal.signal(signal.SIGALRM, expire)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
