"""Polls: what one takes reaches its client, or the session ends and the client comes back to recover.

A packet that a poll took is out of the queue. Should its client not get it, no one would know: browsers send a GET
whose connection broke once more by themselves, and the session would go on without the packet. So a session ends when

- a poll comes while another is under way, as on Socket.IO's own server,
- the peer of a poll leaves before the answer,
- the answer can't be written, or the peer left without having read all of it,
- a poll that was answered comes again, which its parameter ``t`` shows: clients make a new one for each request.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakKeyDictionary

from rag_pipeline.socket_server.loop import (
    CONNECTION,
    Cancellable,
    Environ,
    HttpConnection,
    Loop,
    StartResponse,
    WsgiApp,
)
from rag_pipeline.socket_server.refusals import OVERLAP, parameter

logger = logging.getLogger("rag_pipeline.socket")

LOOK_SECONDS = 0.25
LOOKS_A_TURN = 500
NOTHING_TO_LOSE = (b"", b"6")

Headers = list[tuple[str, str]]
Answer = tuple[str, Headers, bytes]


class Poll:
    """A GET of a session, under way or answered."""

    __slots__ = ("changes_token", "connection", "token", "under_way")

    def __init__(self, connection: HttpConnection, token: str | None, former: Poll | None) -> None:
        self.connection = connection
        self.token = token
        self.under_way = True
        # A client that was written by hand may send the same one each time.
        self.changes_token = former is not None and former.token is not None and former.token != token

    def refuses(self, other: Poll) -> str | None:
        """Return why the session can't go on with another poll, None if it can."""
        if self.under_way:
            return "a poll came while another was under way"
        if self.connection.lost:
            return "the answer to a poll was lost"
        if self.changes_token and other.token is not None and other.token == self.token:
            return "a poll that was answered came again"
        return None


class PollGuard:
    """A WSGI application around Engine.IO's; ``end`` ends a session, with CLOSE to the poll under way if it is told to.

    ``session_of`` returns the open session of an id.
    """

    def __init__(
        self,
        app: WsgiApp,
        session_of: Callable[[str | None], Any],
        end: Callable[[Any, bool], None],
        loop: Loop,
    ) -> None:
        self._app = app
        self._session_of = session_of
        self._end_session = end
        self._loop = loop
        self._polls: WeakKeyDictionary[Any, Poll] = WeakKeyDictionary()
        self._waiting: dict[Poll, Any] = {}  # with their sessions
        self._to_look_at: list[Poll] = []
        self._timer: Cancellable | None = None

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request; what is no poll goes on to Engine.IO."""
        session = self._session_of(parameter(environ, "sid"))
        if environ["REQUEST_METHOD"] != "GET" or session is None or session.upgraded or "HTTP_UPGRADE" in environ:
            return self._app(environ, start_response)
        former = self._polls.get(session)
        poll = Poll(environ[CONNECTION], parameter(environ, "t"), former)
        reason = None if former is None else former.refuses(poll)
        if reason is None:
            self._polls[session] = poll
            return self._answer(session, poll, environ, start_response)
        self._end(session, reason, goodbye=True)
        start_response(OVERLAP.status, OVERLAP.headers)
        return [OVERLAP.encode()]

    def _answer(self, session: Any, poll: Poll, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            status, headers, body = self._run(session, poll, environ)
            if poll.connection.gone and body not in NOTHING_TO_LOSE:
                self._end(session, "the peer of a poll left before the answer")
                status, headers, body = OVERLAP.status, OVERLAP.headers, OVERLAP.encode()
            self._write(session, start_response, status, headers, body)
        finally:
            poll.under_way = False
        return ()

    def _run(self, session: Any, poll: Poll, environ: Environ) -> Answer:
        if not session.queue.empty():
            return _run(self._app, environ)  # answered at once
        self._waiting[poll] = session
        if self._timer is None:
            self._timer = self._loop.call_later(LOOK_SECONDS, self._look)
        try:
            return _run(self._app, environ)
        finally:
            del self._waiting[poll]

    def _look(self) -> None:
        """End the sessions whose polls wait for a peer that has gone; a slice in each turn.

        Not by watching the descriptors, which would cost each poll two system calls that give up the GIL.
        """
        if not self._to_look_at:
            self._to_look_at = list(self._waiting)
        now, self._to_look_at = self._to_look_at[:LOOKS_A_TURN], self._to_look_at[LOOKS_A_TURN:]
        for poll in now:
            session = self._waiting.get(poll)
            # A poll that the switch to a WebSocket left behind has nothing to wait for.
            if session is not None and not session.upgraded and poll.connection.gone:
                self._end(session, "the connection of a poll broke")
        wait = 0 if self._to_look_at else LOOK_SECONDS
        self._timer = self._loop.call_later(wait, self._look) if self._waiting else None

    def _write(self, session: Any, start_response: StartResponse, status: str, headers: Headers, body: bytes) -> None:
        """Write the answer here, and not by the server, so that it is known to be written."""
        try:
            length = ("Content-Length", str(len(body)))
            start_response(status, [*(h for h in headers if h[0].lower() != "content-length"), length])(body)
        except BaseException:
            if body not in NOTHING_TO_LOSE:
                self._end(session, "the answer to a poll could not be written")
            raise

    def _end(self, session: Any, reason: str, *, goodbye: bool = False) -> None:
        logger.info("client %s is disconnected: %s", session.sid, reason)
        self._end_session(session, goodbye)


def _run(app: WsgiApp, environ: Environ) -> Answer:
    """Return the application's whole answer."""
    started: list[tuple[str, Headers]] = []

    def start(status: str, headers: Headers, *_: Any) -> None:
        started[:] = [(status, headers)]

    body = b"".join(app(environ, start))
    status, headers = started[0]
    return status, headers, body
