"""Wait for a condition, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable

DEADLINE_SECONDS = 120.0


def wait_until(
    condition: Callable[[], object], what: str = "the condition", *, seconds: float = DEADLINE_SECONDS
) -> None:
    """Return once the condition is true; fail after the deadline, naming ``what``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not become true within {seconds:g} s"
        time.sleep(0.002)
