"""The wall clock and the monotonic clock, read as one instant."""

from __future__ import annotations

import time
from typing import NamedTuple

SAME_INSTANT_SECONDS = 0.0005
MAX_READINGS = 5

monotonic = time.monotonic
wall = time.time
_new_tuple = tuple.__new__  # Moment(…) does the same at twice the cost


class Moment(NamedTuple):
    """One instant on both clocks: wall-clock seconds for people, monotonic seconds for durations."""

    wall: float
    mono: float


def read() -> Moment:
    """Return the present moment on both clocks, read at most half a millisecond apart."""
    # A thread can lose the processor between two readings. The clocks would then disagree by that time, and two
    # statuses 100 ms apart on the monotonic clock would be closer than that by their timestamps.
    readings = 1
    before, at, now = monotonic(), wall(), monotonic()
    while now - before >= SAME_INSTANT_SECONDS and readings < MAX_READINGS:
        before, at, now = monotonic(), wall(), monotonic()
        readings += 1
    return _new_tuple(Moment, (at, now))
