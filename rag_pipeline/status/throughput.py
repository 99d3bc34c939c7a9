"""How fast files get done, over the last minutes of real work; a figure costs the same however long the run."""

from __future__ import annotations

from collections import deque

WINDOW_SECONDS = 300.0
MIN_FILES = 5
"""Fewer files, or a shorter span than the next, say nothing about the rate: it is None."""
MIN_SPAN_SECONDS = 5.0
PATIENCE_SECONDS = 60.0
FEW = 10
"""With fewer files in the window, the rate is that of the last ten."""
_BUCKET_SECONDS = 1.0


class Throughput:
    """Counts files that were worked on, completed or failed; skipped files are not work.

    Time is monotonic seconds. It does not count while the pipeline is halted (paused, or in error), so the rate then
    stays as it was. It also stays while files are in flight and nothing has happened to any of them for a minute. A
    pipeline with nothing in flight is idle: its rate falls to 0 within five minutes.
    """

    def __init__(self) -> None:
        self._began: float | None = None
        self._buckets: deque[tuple[float, int]] = deque()  # one a second, for the window
        self._last: deque[float] = deque(maxlen=FEW)
        self._uncounted = 0.0
        self._halted_at: float | None = None
        self._last_sign = 0.0
        self._busy = False

    def halt(self, now: float, *, halted: bool) -> None:
        """Stop counting time, or continue."""
        if halted and self._halted_at is None:
            self._halted_at = now
        elif not halted and self._halted_at is not None:
            self._uncounted += now - self._halted_at
            self._halted_at = None
            self._last_sign = now

    def started(self, now: float) -> None:
        """A file was put in flight."""
        self._last_sign = now
        if self._busy:
            return
        self._busy = True
        at = self._counted(now)
        if self._began is None or self._is_old(at):
            # A pipeline that wakes up is not measured over its sleep.
            self._began = at
            self._buckets.clear()
            self._last.clear()

    def progressed(self, now: float) -> None:
        """A file in flight gave a sign of life."""
        self._last_sign = now

    def ended(self, now: float, in_flight: int, *, worked: bool) -> None:
        """A file left flight, ``in_flight`` are still there; ``worked`` unless it was skipped or deleted."""
        self._busy = in_flight > 0
        self._last_sign = now
        if not worked:
            return
        at = self._counted(now)
        if self._began is None:
            self._began = at
        second = at - at % _BUCKET_SECONDS
        if self._buckets and self._buckets[-1][0] == second:
            self._buckets[-1] = (second, self._buckets[-1][1] + 1)
        else:
            self._buckets.append((second, 1))
            self._expire(at)
        self._last.append(at)

    def per_minute(self, now: float) -> float | None:
        """Return files per minute; None until it is known."""
        if self._began is None or not self._last:
            return None
        patient = now if not self._busy else min(now, self._last_sign + PATIENCE_SECONDS)
        at = self._counted(patient)
        if not self._busy and self._is_old(at):
            return 0.0
        self._expire(at)
        start, count = max(self._began, at - WINDOW_SECONDS), sum(count for _, count in self._buckets)
        if count < FEW == len(self._last):
            start, count = self._last[0], FEW - 1
        span = at - start
        if count < MIN_FILES or span < MIN_SPAN_SECONDS:
            return None
        return round(count * 60.0 / span, 2)

    def _counted(self, now: float) -> float:
        return (now if self._halted_at is None else min(now, self._halted_at)) - self._uncounted

    def _is_old(self, at: float) -> bool:
        return not self._last or at - self._last[-1] > WINDOW_SECONDS

    def _expire(self, at: float) -> None:
        while self._buckets and self._buckets[0][0] < at - WINDOW_SECONDS:
            self._buckets.popleft()
