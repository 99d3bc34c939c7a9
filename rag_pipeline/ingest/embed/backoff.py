"""How long to wait before a request is tried again: pure functions."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MAX_RETRY_AFTER_SECONDS = 120.0
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


def full_jitter(
    attempt: int, *, base_seconds: float, cap_seconds: float, uniform: Callable[[float, float], float]
) -> float:
    """Return a delay drawn evenly from 0 to ``base * 2**attempt``, capped: clients then spread out by themselves."""
    return uniform(0.0, min(cap_seconds, base_seconds * 2.0 ** min(attempt, 60)))


def retry_after(header: str | None, now: datetime | None = None) -> float | None:
    """Return the seconds a Retry-After header asks for, 0 to 120; None if it is absent or can't be read.

    Both forms of RFC 9110 are read: seconds, and an HTTP date.
    """
    text = (header or "").strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), MAX_RETRY_AFTER_SECONDS)
    try:
        date = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    date = date.replace(tzinfo=UTC) if date.tzinfo is None else date
    seconds = (date - (now or datetime.now(UTC))).total_seconds()
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)


def delay_before(attempt: int, header: str | None, *, base_seconds: float, cap_seconds: float) -> float:
    """Return how long to wait before the next attempt: what the server asked for, and a little on top of it."""
    jitter = full_jitter(attempt, base_seconds=base_seconds, cap_seconds=cap_seconds, uniform=random.uniform)
    asked = retry_after(header)
    return jitter if asked is None else asked + min(jitter, 1.0)
