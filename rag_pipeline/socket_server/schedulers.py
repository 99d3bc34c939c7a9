"""Shared timers: the pings of all sessions, and the turns in which polling clients get their packets."""

from __future__ import annotations

import itertools
import time
from collections import deque
from typing import Protocol
from weakref import ref

from engineio import packet as eio_packet

from rag_pipeline.socket_server.loop import Cancellable, Loop

MAX_SPACING_SECONDS = 0.5
POLLS_A_TURN = 4


class PolledSession(Protocol):
    """The part of a session that :class:`PollScheduler` uses."""

    def release(self) -> None:
        """Hand the waiting packets to the client's poll."""
        ...


class PingedSession(Protocol):
    """The part of a session that :class:`PingScheduler` uses."""

    closed: bool
    closing: bool
    last_ping: float | None

    def send(self, pkt: eio_packet.Packet) -> None:
        """Send a packet."""
        ...

    def close(self, wait: bool = True, abort: bool = False, reason: str | None = None) -> None:
        """End the session."""
        ...


class PollScheduler:
    """Gives polling clients their packets a few at a time, so that the loop serves others in between.

    Each answer to a poll costs the loop 0.2 ms of HTTP: two hundred at once would block everyone else for 40 ms.
    """

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._ready: dict[PolledSession, None] = {}
        self._timer: Cancellable | None = None

    def schedule(self, session: PolledSession) -> None:
        """Release the session's packets when its turn comes."""
        self._ready[session] = None
        if self._timer is None:
            self._timer = self._loop.call_later(0, self._turn)

    def _turn(self) -> None:
        self._timer = self._loop.call_later(0, self._turn) if len(self._ready) > POLLS_A_TURN else None
        for session in list(itertools.islice(self._ready, POLLS_A_TURN)):
            del self._ready[session]
            session.release()


class PingScheduler:
    """Pings every client in turn, and closes the sessions that do not answer.

    All clients have the same interval, so two FIFO queues are sorted by due time. The timer is set for the first entry,
    and one turn handles all entries that are due within a short time.
    """

    def __init__(self, loop: Loop, interval: float, timeout: float, timeout_reason: str) -> None:
        self._loop = loop
        self._interval = interval
        self._timeout = timeout
        self._timeout_reason = timeout_reason
        self._spacing = min(MAX_SPACING_SECONDS, interval / 300)
        # Weak references: closed sessions are freed at once, not only when their pings are due.
        self._to_ping: deque[tuple[float, ref[PingedSession]]] = deque()
        self._to_answer: deque[tuple[float, ref[PingedSession], float]] = deque()
        self._timer: Cancellable | None = None
        self._timer_due = 0.0

    def schedule(self, session: PingedSession) -> None:
        """Ping the client one interval from now."""
        self._to_ping.append((time.monotonic() + self._interval, ref(session)))
        self._set_timer()

    def _set_timer(self) -> None:
        dues = [queue[0][0] for queue in (self._to_ping, self._to_answer) if queue]
        if not dues or (self._timer is not None and self._timer_due <= min(dues)):
            return
        if self._timer is not None:
            self._timer.cancel()
        now = time.monotonic()
        self._timer_due = max(min(dues), now + self._spacing)
        self._timer = self._loop.call_later(self._timer_due - now, self._turn)

    def _turn(self) -> None:
        self._timer = None
        now = time.monotonic()
        try:
            self._ping(now)
            self._close_silent(now)
        finally:
            self._set_timer()

    def _ping(self, now: float) -> None:
        while self._to_ping and self._to_ping[0][0] <= now:
            due, session_ref = self._to_ping.popleft()
            session = session_ref()
            if session is not None and not session.closed and not session.closing:
                session.last_ping = time.time()
                # If this turn is a little late, the client's time to answer is not longer for it.
                answer_due = max(due, now - self._timeout / 10) + self._timeout
                self._to_answer.append((answer_due, session_ref, session.last_ping))
                session.send(eio_packet.Packet(eio_packet.PING))

    def _close_silent(self, now: float) -> None:
        while self._to_answer and self._to_answer[0][0] <= now:
            _, session_ref, pinged_at = self._to_answer.popleft()
            session = session_ref()
            if session is not None and session.last_ping == pinged_at and not session.closed:
                session.close(reason=self._timeout_reason)
