"""Limits what a client may send: a token bucket for each session.

Clients need to send very little: an answer to each ping, and a CONNECT for each namespace. Every frame costs the loop
about 20 µs and a CONNECT many times that, while nobody else is served.
"""

from __future__ import annotations

from time import monotonic

BURST = 100
PER_SECOND = 10.0
CONNECT_COST = 10


class RateLimit:
    """A token bucket for frames and packets."""

    __slots__ = ("_left", "_refilled_at")

    def __init__(self) -> None:
        self._left = float(BURST)
        self._refilled_at = monotonic()

    def take(self, cost: int = 1) -> bool:
        """Count frames or packets; False if there are too many."""
        now = monotonic()
        self._left = min(BURST, self._left + (now - self._refilled_at) * PER_SECOND) - cost
        self._refilled_at = now
        return self._left >= 0
