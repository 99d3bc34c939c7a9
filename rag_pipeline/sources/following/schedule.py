"""When to look again at what there is; pure, times are monotonic seconds."""

from __future__ import annotations

PAUSE_SECONDS = 0.3
# A place in which something changes all the time is looked at for a tenth of the time at most.
SHARE = 10


class Timetable:
    """A look is due after ``interval_seconds``, soon after a hint, and at once where someone asks for it.

    Setting a flag is atomic, so that any thread may hint.
    """

    def __init__(self, interval_seconds: float) -> None:
        self.interval_seconds = interval_seconds
        self._next = 0.0
        self._not_before = 0.0
        self._hinted = False
        self._asked = False

    def hint(self) -> None:
        """Something has changed."""
        self._hinted = True

    def ask(self) -> None:
        """Someone wants to know now."""
        self._asked = True

    def is_due(self, now: float) -> bool:
        """Return whether to look."""
        return self._asked or now >= self._next or (self._hinted and now >= self._not_before)

    def begin(self) -> bool:
        """A look begins: hints from here on are for the next one. Return whether someone asked for it."""
        asked = self._asked
        self._hinted = self._asked = False
        return asked

    def end(self, began: float, ended: float, wait_seconds: float | None = None) -> float:
        """A look has ended; return the seconds until the next one: the interval, or less where someone waits for it."""
        wait = self.interval_seconds
        if wait_seconds is not None:
            wait = min(wait, max(PAUSE_SECONDS, wait_seconds))
        self._not_before = ended + max(PAUSE_SECONDS, SHARE * (ended - began))
        self._next = ended + wait
        return wait

    def back_off(self, now: float, wait_seconds: float | None) -> float:
        """Nothing could be seen or fetched; return the seconds until the next look, which no hint makes shorter.

        Without ``wait_seconds`` it is the interval, and a hint that the source is back is welcome.
        """
        wait = self.interval_seconds if wait_seconds is None else max(PAUSE_SECONDS, wait_seconds)
        self._not_before = now + (PAUSE_SECONDS if wait_seconds is None else wait)
        self._next = now + wait
        return wait
