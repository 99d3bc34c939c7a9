"""Decides when to scan; pure, times are monotonic seconds."""

from __future__ import annotations

PAUSE_SECONDS = 0.3
# Scans take at most a tenth of the time, even in a folder that changes all the time.
SHARE = 10


class ScanSchedule:
    """A scan is due after ``interval_seconds``, soon after :meth:`wake`, and at once after :meth:`request`.

    Setting a flag is atomic, so any thread may call these two.
    """

    def __init__(self, interval_seconds: float) -> None:
        self.interval_seconds = interval_seconds
        self._next = 0.0
        self._not_before = 0.0
        self._is_woken = False
        self._is_requested = False

    def wake(self) -> None:
        """Scan soon: something has changed."""
        self._is_woken = True

    def request(self) -> None:
        """Scan now: somebody asked for it."""
        self._is_requested = True

    def is_due(self, now: float) -> bool:
        """Return whether to scan now."""
        return self._is_requested or now >= self._next or (self._is_woken and now >= self._not_before)

    def begin(self) -> bool:
        """Start a scan; return whether it was requested. Changes from here on are for the next one."""
        was_requested = self._is_requested
        self._is_woken = self._is_requested = False
        return was_requested

    def end(self, began: float, ended: float, wait_seconds: float | None = None) -> float:
        """End a scan; return the seconds until the next one: ``wait_seconds``, but at most the interval."""
        wait = self.interval_seconds
        if wait_seconds is not None:
            wait = min(wait, max(PAUSE_SECONDS, wait_seconds))
        self._not_before = ended + max(PAUSE_SECONDS, SHARE * (ended - began))
        self._next = ended + wait
        return wait

    def back_off(self, now: float, wait_seconds: float | None) -> float:
        """Note that the source is unavailable; return the seconds until the next scan, which no wake shortens.

        Without ``wait_seconds`` it is the interval, and a wake may shorten it, because the source may be back.
        """
        wait = self.interval_seconds if wait_seconds is None else max(PAUSE_SECONDS, wait_seconds)
        self._not_before = now + (PAUSE_SECONDS if wait_seconds is None else wait)
        self._next = now + wait
        return wait
