"""Delays between attempts at something that fails."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MAX_RETRY_AFTER_SECONDS = 120.0
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


class Backoff:
    """Delays that double up to a limit, for one thread.

    ``jitter`` is the share of each delay that chance may take away: 0 takes nothing, 1 is full jitter (anything from 0
    to the delay). With jitter, clients that lost a service at the same moment come back at different ones.
    """

    def __init__(
        self,
        first_seconds: float,
        limit_seconds: float,
        *,
        jitter: float = 0.0,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._first = min(first_seconds, limit_seconds)
        self._limit = limit_seconds
        self._jitter = jitter
        self._chance = chance
        self._next = self._first

    def delay(self, retry_after: str | None = None) -> float:
        """Return the seconds to wait before the next attempt, and double the delay after it.

        If the answer had a ``Retry-After`` header, that time counts, plus at most one second of the delay.
        """
        delay = self._next * (1 - self._jitter * self._chance())
        self._next = min(2 * self._next, self._limit)
        requested = parse_retry_after(retry_after)
        return delay if requested is None else requested + min(delay, 1.0)

    def skip_to_limit(self) -> None:
        """Make the next delay the longest."""
        self._next = self._limit

    def reset(self) -> None:
        """Start over with the first delay."""
        self._next = self._first


def parse_retry_after(header: str | None, now: datetime | None = None) -> float | None:
    """Return the seconds that a Retry-After header asks for, 0 to 120; None if it is missing or unreadable.

    Reads both forms of RFC 9110: seconds, and an HTTP date.
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
