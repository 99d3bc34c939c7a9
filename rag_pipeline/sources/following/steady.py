"""A clock for waits: wall-clock time at the start of the process, and what has passed since."""

from __future__ import annotations

import time

_STARTED = time.time() - time.monotonic()


def steady_now() -> float:
    """Return seconds since 1970 by a clock that never jumps, whatever becomes of the system's clock."""
    return _STARTED + time.monotonic()
