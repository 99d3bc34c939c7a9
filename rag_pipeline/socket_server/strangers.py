"""Sessions that are in no namespace: ended after a while, so that no one who was refused holds a connection for ever.

They are looked for a slice at a time, which costs next to nothing and needs no hook into the library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

LIMIT_SECONDS = 45.0  # as Socket.IO's own server gives them (connectTimeout)
SESSIONS_A_TURN = 500


class Strangers:
    """Finds those sessions; ``joined`` tells whether one is in a namespace, ``end`` ends it."""

    def __init__(
        self, sessions: Callable[[], Iterable[str]], joined: Callable[[str], bool], end: Callable[[str], None]
    ) -> None:
        self._sessions = sessions
        self._joined = joined
        self._end = end
        self._to_look_at: list[str] = []
        self._since: dict[str, float] = {}

    def turn(self, now: float, limit_seconds: float = LIMIT_SECONDS) -> None:
        """Look at the next ones; end those that were in no namespace at each look of ``limit_seconds``."""
        if not self._to_look_at:
            self._to_look_at = list(self._sessions())
            there = set(self._to_look_at)
            self._since = {session: since for session, since in self._since.items() if session in there}
        looked_at, self._to_look_at = self._to_look_at[:SESSIONS_A_TURN], self._to_look_at[SESSIONS_A_TURN:]
        for session in looked_at:
            if self._joined(session):
                self._since.pop(session, None)
            elif now - self._since.setdefault(session, now) >= limit_seconds:
                del self._since[session]
                self._end(session)
