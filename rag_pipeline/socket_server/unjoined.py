"""Bounds the sessions that have joined no namespace, and ends them after a while.

Anyone can open a session, also where a token is required, and between two polls it does not even hold a connection.
"""

from __future__ import annotations

from collections.abc import Callable

LIMIT_SECONDS = 45.0  # the connectTimeout of Socket.IO's own server
MAX_SESSIONS = 2000
MIN_SECONDS = 1.0
MIN_WEBSOCKET_SECONDS = 0.3  # CONNECT needs one round trip; over polling two, and perhaps a new connection
ENDED_A_TURN = 500


class UnjoinedSessions:
    """The unjoined sessions of one transport. ``joined`` returns whether a session has joined, ``end`` ends it.

    Over the bound the oldest is ended, if it has had ``least_seconds`` to join: honest clients join at once. The
    shorter this time, the better a new client's chance against a flood that takes each place as it becomes free.
    """

    def __init__(
        self, joined: Callable[[str], bool], end: Callable[[str], None], least_seconds: float = MIN_SECONDS
    ) -> None:
        self._joined = joined
        self._end = end
        self._least_seconds = least_seconds
        self._since: dict[str, float] = {}  # in the order of the times

    def __len__(self) -> int:
        return len(self._since)

    def add(self, session: str, now: float) -> None:
        """Add a session that was opened, or has left a namespace."""
        self._since.pop(session, None)
        self._since[session] = now

    def discard(self, session: str) -> None:
        """Remove a session that has joined or ended; an unknown one is fine."""
        self._since.pop(session, None)

    def has_room(self, now: float, limit: int = MAX_SESSIONS) -> bool:
        """Return whether one more may be opened; ends the oldest if necessary."""
        return len(self._since) < limit or self.end_oldest(now)

    def end_oldest(self, now: float) -> bool:
        """End the session that has been unjoined for the longest time; False if none has had ``least_seconds``."""
        return self._end_older(now, self._least_seconds)

    def turn(self, now: float, limit_seconds: float = LIMIT_SECONDS) -> None:
        """End the sessions that are over the time limit, a bounded number at once."""
        for _ in range(ENDED_A_TURN):
            if not self._end_older(now, limit_seconds):
                return

    def _end_older(self, now: float, least_seconds: float) -> bool:
        while self._since:
            session, since = next(iter(self._since.items()))
            if now - since < least_seconds:
                return False
            del self._since[session]
            if not self._joined(session):
                self._end(session)
                return True
        return False
