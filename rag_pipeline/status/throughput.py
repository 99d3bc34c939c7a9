"""How fast files get done: a sliding window of counts, so that a figure costs the same however long the run."""

from __future__ import annotations

BUCKET_SECONDS = 5.0
BUCKETS = 60
_WINDOW_SECONDS = BUCKET_SECONDS * BUCKETS
_MIN_SPAN_SECONDS = 1.0


class Throughput:
    """Counts files done over the last five minutes, failed and skipped ones too.

    Time is monotonic seconds. The span the rate is taken over starts with the first file after an idle window, so
    that a pipeline which wakes up isn't measured over its sleep.
    """

    def __init__(self) -> None:
        self._counts = [0] * BUCKETS
        self._total = 0
        self._head = 0
        self._busy_since: float | None = None
        self._last_seen = 0.0
        self._any_done = False

    def started(self, now: float) -> None:
        """Note that work began."""
        if self._busy_since is None or now - self._last_seen > _WINDOW_SECONDS:
            self._busy_since = now
        self._last_seen = now

    def done(self, now: float) -> None:
        """Count one file."""
        if self._busy_since is None:
            self._busy_since = now
        self._advance(now)
        self._counts[self._head % BUCKETS] += 1
        self._total += 1
        self._last_seen = now
        self._any_done = True

    def per_minute(self, now: float) -> float | None:
        """Return files per minute, or None until it is known."""
        if self._busy_since is None or not self._any_done:
            return None
        self._advance(now)
        total = self._total
        span = min(now - self._busy_since, _WINDOW_SECONDS)
        if total == 0 or span < _MIN_SPAN_SECONDS:
            return 0.0 if total == 0 else None
        return round(total * 60.0 / span, 2)

    def _advance(self, now: float) -> None:
        head = int(now / BUCKET_SECONDS)
        if head <= self._head:
            return
        if head - self._head >= BUCKETS:
            self._counts = [0] * BUCKETS
        else:
            for bucket in range(self._head + 1, head + 1):
                self._counts[bucket % BUCKETS] = 0
        self._total = sum(self._counts)
        self._head = head
