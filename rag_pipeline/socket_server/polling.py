"""Guards polls: a client receives every packet that a poll has taken from its queue, or its session ends.

If an answer is lost, nobody knows: browsers repeat a GET whose connection broke, and the session would go on without
the packets of the first answer. A client whose session ends comes back and recovers. So a session ends when

- a poll comes while another is under way, as on Socket.IO's own server;
- the peer of a poll leaves before the answer;
- the answer can't be written, or the peer left before it had received all of it;
- an answered poll comes again, with the same parameter ``t``: clients use a new one for each request.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakKeyDictionary

from rag_pipeline.socket_server.error_answers import LOST_POLL, query_parameter
from rag_pipeline.socket_server.loop import (
    CONNECTION,
    Cancellable,
    Environ,
    Headers,
    HttpConnection,
    Loop,
    StartResponse,
    WsgiApp,
)

logger = logging.getLogger("rag_pipeline.socket")

CHECK_SECONDS = 0.25
CHECKED_A_TURN = 500
EMPTY_BODIES = (b"", b"6")  # nothing, or NOOP alone: no packet is lost with them


class Poll:
    """A GET of a session, under way or answered."""

    __slots__ = ("changes_token", "connection", "token", "under_way")

    def __init__(self, connection: HttpConnection, token: str | None, previous: Poll | None) -> None:
        self.connection = connection
        self.token = token
        self.under_way = True
        # A hand-written client may send the same token each time.
        self.changes_token = previous is not None and previous.token is not None and previous.token != token

    def conflict_with(self, next_poll: Poll) -> str | None:
        """Return why the next poll ends the session, None if it does not."""
        if self.under_way:
            return "a poll came while another was under way"
        if self.connection.lost:
            return "the answer to a poll was lost"
        if self.changes_token and next_poll.token is not None and next_poll.token == self.token:
            return "an answered poll came again"
        return None


class PollGuard:
    """WSGI middleware around Engine.IO.

    ``session_of`` returns the open session with an id. ``end_session`` ends a session; its second argument says whether
    to send CLOSE to the poll under way.
    """

    def __init__(
        self,
        app: WsgiApp,
        session_of: Callable[[str | None], Any],
        end_session: Callable[[Any, bool], None],
        loop: Loop,
    ) -> None:
        self._app = app
        self._session_of = session_of
        self._end_session = end_session
        self._loop = loop
        self._polls: WeakKeyDictionary[Any, Poll] = WeakKeyDictionary()
        self._waiting: dict[Poll, Any] = {}  # and their sessions
        self._to_check: list[Poll] = []
        self._timer: Cancellable | None = None

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request; a request that is no poll goes to Engine.IO directly."""
        session = self._session_of(query_parameter(environ, "sid"))
        if environ["REQUEST_METHOD"] != "GET" or session is None or session.upgraded or "HTTP_UPGRADE" in environ:
            return self._app(environ, start_response)
        previous = self._polls.get(session)
        poll = Poll(environ[CONNECTION], query_parameter(environ, "t"), previous)
        conflict = None if previous is None else previous.conflict_with(poll)
        if conflict is None:
            self._polls[session] = poll
            return self._answer(session, poll, environ, start_response)
        self._end(session, conflict, send_close=True)
        start_response(LOST_POLL.status, LOST_POLL.headers)
        return [LOST_POLL.encode()]

    def _answer(self, session: Any, poll: Poll, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            status, headers, body = self._run(session, poll, environ)
            if poll.connection.gone and body not in EMPTY_BODIES:
                self._end(session, "the peer of a poll left before the answer")
                status, headers, body = LOST_POLL.status, LOST_POLL.headers, LOST_POLL.encode()
            self._write(session, start_response, status, headers, body)
        finally:
            poll.under_way = False
        return ()

    def _run(self, session: Any, poll: Poll, environ: Environ) -> tuple[str, Headers, bytes]:
        if not session.queue.empty():
            return _run(self._app, environ)  # answers at once
        self._waiting[poll] = session
        if self._timer is None:
            self._timer = self._loop.call_later(CHECK_SECONDS, self._check_peers)
        try:
            return _run(self._app, environ)
        finally:
            del self._waiting[poll]

    def _check_peers(self) -> None:
        """End the sessions whose polls wait for a peer that has left; some in each turn.

        Watching the descriptors instead would cost each poll two system calls that release the GIL.
        """
        if not self._to_check:
            self._to_check = list(self._waiting)
        now, self._to_check = self._to_check[:CHECKED_A_TURN], self._to_check[CHECKED_A_TURN:]
        for poll in now:
            session = self._waiting.get(poll)
            # A poll left over from the upgrade has no packets to lose.
            if session is not None and not session.upgraded and poll.connection.gone:
                self._end(session, "the connection of a poll broke")
        wait = 0 if self._to_check else CHECK_SECONDS
        self._timer = self._loop.call_later(wait, self._check_peers) if self._waiting else None

    def _write(self, session: Any, start_response: StartResponse, status: str, headers: Headers, body: bytes) -> None:
        """Write the answer here, not in the HTTP server, to know whether it was written."""
        try:
            length = ("Content-Length", str(len(body)))
            start_response(status, [*(h for h in headers if h[0].lower() != "content-length"), length])(body)
        except BaseException:
            if body not in EMPTY_BODIES:
                self._end(session, "the answer to a poll could not be written")
            raise

    def _end(self, session: Any, reason: str, *, send_close: bool = False) -> None:
        logger.info("client %s is disconnected: %s", session.sid, reason)
        self._end_session(session, send_close)


def _run(app: WsgiApp, environ: Environ) -> tuple[str, Headers, bytes]:
    """Return the application's whole answer: status, headers and body."""
    started: list[tuple[str, Headers]] = []

    def start(status: str, headers: Headers, *_: Any) -> None:
        started[:] = [(status, headers)]

    body = b"".join(app(environ, start))
    status, headers = started[0]
    return status, headers, body
