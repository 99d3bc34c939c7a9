"""A wall clock for waits that never jumps: the time at the start of the process plus what has passed since."""

from __future__ import annotations

import time

_STARTED = time.time() - time.monotonic()


def steady_now() -> float:
    """Return seconds since 1970, unaffected by changes of the system's clock."""
    return _STARTED + time.monotonic()
