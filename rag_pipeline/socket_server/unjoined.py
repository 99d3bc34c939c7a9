"""Sessions that are in no namespace: bounded, and ended after a while.

Anyone can open one, also where a token is asked for, and one opened by polling does not even hold a connection.
"""

from __future__ import annotations

from collections.abc import Callable

LIMIT_SECONDS = 45.0  # as Socket.IO's own server gives them (connectTimeout)
MAX_SESSIONS = 2000
MIN_SECONDS = 1.0
ENDED_A_TURN = 500


class UnjoinedSessions:
    """The sessions of one transport that have to join; ``joined`` tells whether one has, ``end`` ends it.

    Over the bound the oldest is ended, if it has had a second to join: clients that mean it join at once.
    """

    def __init__(self, joined: Callable[[str], bool], end: Callable[[str], None]) -> None:
        self._joined = joined
        self._end = end
        self._since: dict[str, float] = {}  # in the order of their times

    def __len__(self) -> int:
        return len(self._since)

    def add(self, session: str, now: float) -> None:
        """Begin to wait for a session: it was opened, or has left a namespace."""
        self._since.pop(session, None)
        self._since[session] = now

    def discard(self, session: str) -> None:
        """The session has joined or ended; one that is unknown is fine."""
        self._since.pop(session, None)

    def has_room(self, now: float, limit: int = MAX_SESSIONS) -> bool:
        """Return whether one more may be opened, at the cost of the oldest if need be."""
        return len(self._since) < limit or self.end_oldest(now)

    def end_oldest(self, now: float, least_seconds: float = MIN_SECONDS) -> bool:
        """End the session that has been unjoined the longest; False if none has been for so long."""
        while self._since:
            session, since = next(iter(self._since.items()))
            if now - since < least_seconds:
                return False
            del self._since[session]
            if not self._joined(session):
                self._end(session)
                return True
        return False

    def turn(self, now: float, limit_seconds: float = LIMIT_SECONDS) -> None:
        """End those whose time is over, a bounded number of them."""
        for _ in range(ENDED_A_TURN):
            if not self.end_oldest(now, limit_seconds):
                return
