"""When the status that follows file events goes out: within 100 ms, and at most 10 times a second."""

from __future__ import annotations

from typing import NamedTuple

STATUS_INTERVAL_SECONDS = 0.1
STATUS_DELAY_SECONDS = 0.095
"""Longest wait of such a status for a file event it could go out with."""
FLUSH_PATIENCE_SECONDS = 1.0
NEVER = float("inf")


class StatusThrottle(NamedTuple):
    """When a status went out last, when the next one is due, and when a flush was asked for; monotonic seconds.

    Immutable: a new one takes its place once what it decided is on its way.
    """

    sent: float = -NEVER
    status_due: float = NEVER
    flush_due: float = NEVER

    def owes_status(self, now: float) -> bool:
        """Return whether a status is owed and its time has come."""
        return now >= self.status_due

    def after_status(self, now: float) -> StatusThrottle:
        """A status goes out, so none is owed."""
        return StatusThrottle(now, NEVER, self.flush_due)

    def owing_status(self, now: float) -> StatusThrottle:
        """A status is owed: within 100 ms, but not within 100 ms of the last one."""
        if self.status_due != NEVER:
            return self
        due = max(now + STATUS_DELAY_SECONDS, self.sent + STATUS_INTERVAL_SECONDS)
        return StatusThrottle(self.sent, due, self.flush_due)

    def needs_flush(self, due: float, now: float) -> bool:
        """Return whether to ask for a flush at ``due``: none comes earlier, or the one asked for is overdue."""
        return due < self.flush_due or now > self.flush_due + FLUSH_PATIENCE_SECONDS

    def flushing_at(self, due: float) -> StatusThrottle:
        """A flush was asked for."""
        return StatusThrottle(self.sent, self.status_due, due)
