"""Throttle the status that follows file events: it goes out within 100 ms, and at most 10 times a second."""

from __future__ import annotations

from typing import NamedTuple

STATUS_INTERVAL_SECONDS = 0.1
STATUS_DELAY_SECONDS = 0.095
"""The longest that such a status waits for a file event to go out with."""
FLUSH_PATIENCE_SECONDS = 1.0
"""A planned flush that is this late is lost, and planned again."""
NEVER = float("inf")


class StatusThrottle(NamedTuple):
    """Times of the last status, of the next one that is due, and of the planned flush; monotonic seconds.

    Immutable: a new one replaces it once the published items are on their way.
    """

    sent: float = -NEVER
    status_due: float = NEVER
    flush_due: float = NEVER

    def owes_status(self, now: float) -> bool:
        """Return whether a status is owed and due."""
        return now >= self.status_due

    def after_status(self, now: float) -> StatusThrottle:
        """Return the throttle after a status went out: none is owed."""
        return StatusThrottle(now, NEVER, self.flush_due)

    def owing_status(self, now: float) -> StatusThrottle:
        """Return the throttle with a status owed: within 100 ms, but not within 100 ms of the last one."""
        if self.status_due != NEVER:
            return self
        due = max(now + STATUS_DELAY_SECONDS, self.sent + STATUS_INTERVAL_SECONDS)
        return StatusThrottle(self.sent, due, self.flush_due)

    def needs_flush(self, due: float, now: float) -> bool:
        """Return whether to plan a flush at ``due``: none is planned earlier, or the planned one is lost."""
        return due < self.flush_due or now > self.flush_due + FLUSH_PATIENCE_SECONDS

    def flushing_at(self, due: float) -> StatusThrottle:
        """Return the throttle with a flush planned."""
        return StatusThrottle(self.sent, self.status_due, due)
