"""Files per minute, over the last minutes of actual work."""

from __future__ import annotations

from collections import deque

WINDOW_SECONDS = 300.0
MIN_FILES = 5
"""With fewer files, or a shorter span than the next, the rate is None."""
MIN_SPAN_SECONDS = 5.0
PATIENCE_SECONDS = 60.0
"""Files in flight that report nothing for so long count as stuck."""
FEW = 10
"""With fewer files in the window, the rate is that of the last ten."""
_BUCKET_SECONDS = 1.0


class Throughput:
    """Counts files that completed or failed; skipped files are not work. Every call takes constant time.

    Time is monotonic seconds. It counts only while files are in flight and the pipeline is not halted (paused, or in
    error); otherwise the rate stays unchanged. It also stays unchanged once no file in flight has reported for a
    minute. After five idle minutes it is 0.
    """

    def __init__(self) -> None:
        self._began: float | None = None  # in counted time, like the next two
        self._buckets: deque[tuple[float, int]] = deque()  # one a second, for the window
        self._last: deque[float] = deque(maxlen=FEW)
        self._uncounted = 0.0
        self._stopped_at: float | None = 0.0  # since when time does not count; None while it counts
        self._busy = False
        self._halted = False
        self._last_sign = 0.0

    def halt(self, now: float, *, halted: bool) -> None:
        """Stop counting time, or continue."""
        if halted != self._halted:
            self._halted = halted
            self._last_sign = now
            self._turn_clock(now)

    def started(self, now: float) -> None:
        """Note that a file was put in flight."""
        is_old, self._last_sign = self._is_old(now), now
        if not self._busy:
            self._busy = True
            self._turn_clock(now)
            if self._began is None or is_old:  # the rate before a long sleep says little
                self._began = self._counted(now)
                self._buckets.clear()
                self._last.clear()

    def progressed(self, now: float) -> None:
        """Note that a file in flight has reported."""
        self._last_sign = now

    def ended(self, now: float, in_flight: int, *, worked: bool) -> None:
        """Note the end of a file; ``in_flight`` are left, and ``worked`` is False if it was skipped or deleted."""
        if worked:
            if not self._busy:
                self._count_unseen_work(now)
            self._note_end(self._counted(now))
        self._last_sign = now
        self._busy = in_flight > 0
        self._turn_clock(now)

    def per_minute(self, now: float) -> float | None:
        """Return files per minute, None until it is known."""
        if self._began is None or not self._last:
            return None
        if self._is_old(now):
            return 0.0
        at = self._counted(min(now, self._last_sign + PATIENCE_SECONDS))
        self._expire(at)
        start, count = max(self._began, at - WINDOW_SECONDS), sum(count for _, count in self._buckets)
        if count < FEW == len(self._last):
            start, count = self._last[0], FEW - 1
        span = at - start
        if count < MIN_FILES or span < MIN_SPAN_SECONDS:
            return None
        return round(count * 60.0 / span, 2)

    def _is_old(self, now: float) -> bool:
        return not self._busy and not self._halted and now - self._last_sign > WINDOW_SECONDS

    def _turn_clock(self, now: float) -> None:
        runs = self._busy and not self._halted
        if runs and self._stopped_at is not None:
            self._uncounted += now - self._stopped_at
            self._stopped_at = None
        elif not runs and self._stopped_at is None:
            self._stopped_at = now

    def _count_unseen_work(self, now: float) -> None:
        """Count time for a file that was never started: since the last sign of life, but at most a minute."""
        if self._stopped_at is not None and not self._halted:
            idle = now - self._stopped_at
            self._uncounted += max(0.0, idle - PATIENCE_SECONDS) if self._began is not None else idle
            self._stopped_at = now
        if self._began is None:
            self._began = self._counted(now)

    def _note_end(self, at: float) -> None:
        if self._began is None:
            self._began = at
        second = at - at % _BUCKET_SECONDS
        if self._buckets and self._buckets[-1][0] == second:
            self._buckets[-1] = (second, self._buckets[-1][1] + 1)
        else:
            self._buckets.append((second, 1))
            self._expire(at)
        self._last.append(at)

    def _counted(self, now: float) -> float:
        return (now if self._stopped_at is None else self._stopped_at) - self._uncounted

    def _expire(self, at: float) -> None:
        while self._buckets and self._buckets[0][0] < at - WINDOW_SECONDS:
            self._buckets.popleft()
