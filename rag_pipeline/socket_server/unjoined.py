"""Sessions that are in no namespace: bounded, and ended after a while.

Anyone can open one, also where a token is asked for, and one opened by polling does not even hold a connection.
"""

from __future__ import annotations

from collections.abc import Callable

LIMIT_SECONDS = 45.0  # as Socket.IO's own server gives them (connectTimeout)
MAX_SESSIONS = 2000
MIN_SECONDS = 1.0
MIN_WEBSOCKET_SECONDS = 0.3  # its CONNECT needs one way and back; a poll's needs two, and maybe a connection
ENDED_A_TURN = 500


class UnjoinedSessions:
    """The sessions of one transport that have to join; ``joined`` tells whether one has, ``end`` ends it.

    Over the bound the oldest is ended, if it has had ``least_seconds`` to join: clients that mean it join at once. The
    shorter they are, the better is a newcomer's chance against a herd that takes each place as it becomes free.
    """

    def __init__(
        self, joined: Callable[[str], bool], end: Callable[[str], None], least_seconds: float = MIN_SECONDS
    ) -> None:
        self._joined = joined
        self._end = end
        self._least_seconds = least_seconds
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

    def end_oldest(self, now: float) -> bool:
        """End the session that has been unjoined the longest; False if none has had its time."""
        return self._end_older(now, self._least_seconds)

    def turn(self, now: float, limit_seconds: float = LIMIT_SECONDS) -> None:
        """End those whose time is over, a bounded number of them."""
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
