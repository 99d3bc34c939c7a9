"""How much a client may send: a token bucket for each session.

Clients need to send next to nothing: an answer to each ping, and a CONNECT for each namespace. Every frame costs the
loop some 20 µs, a CONNECT many times that, and nobody else is served meanwhile.
"""

from __future__ import annotations

from time import monotonic

BURST = 100
PER_SECOND = 10.0
CONNECT_COST = 10


class Allowance:
    """Counts frames and packets."""

    __slots__ = ("_at", "_left")

    def __init__(self) -> None:
        self._left = float(BURST)
        self._at = monotonic()

    def take(self, cost: int = 1) -> bool:
        """Count what came; False if it is too much."""
        now = monotonic()
        self._left = min(BURST, self._left + (now - self._at) * PER_SECOND) - cost
        self._at = now
        return self._left >= 0
