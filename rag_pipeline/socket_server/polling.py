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
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from rag_pipeline.socket_server.loop import CONNECTION, Environ, HttpConnection, StartResponse, WsgiApp
from rag_pipeline.socket_server.refusals import OVERLAP, parameter

logger = logging.getLogger("rag_pipeline.socket")

NOTHING_TO_LOSE = (b"", b"6")


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

    def __init__(self, app: WsgiApp, session_of: Callable[[str | None], Any], end: Callable[[Any, bool], None]) -> None:
        self._app = app
        self._session_of = session_of
        self._end_session = end
        self._polls: WeakKeyDictionary[Any, Poll] = WeakKeyDictionary()

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
        with self._watched(session, poll):
            status, headers, body = _run(self._app, environ)
        if poll.connection.gone and body not in NOTHING_TO_LOSE:
            self._end(session, "the peer of a poll left before the answer")
            status, headers, body = OVERLAP.status, OVERLAP.headers, OVERLAP.encode()
        try:
            # Written here and not by the server, so that it is known to be written.
            write = start_response(status, [*_without_length(headers), ("Content-Length", str(len(body)))])
            write(body)
        except BaseException:
            if body not in NOTHING_TO_LOSE:
                self._end(session, "the answer to a poll could not be written")
            raise
        finally:
            poll.under_way = False
        return ()

    @contextmanager
    def _watched(self, session: Any, poll: Poll) -> Any:
        """While the poll waits: end the session once the peer has gone, so that nothing is taken for it."""

        def on_gone() -> None:
            if not session.upgraded:  # else it was left behind by the switch, and nothing waits for it
                self._end(session, "the connection of a poll broke")

        watch = poll.connection.when_gone(on_gone)
        try:
            yield
        except BaseException:
            poll.under_way = False
            raise
        finally:
            watch.cancel()

    def _end(self, session: Any, reason: str, *, goodbye: bool = False) -> None:
        logger.info("client %s is disconnected: %s", session.sid, reason)
        self._end_session(session, goodbye)


def _run(app: WsgiApp, environ: Environ) -> tuple[str, list[tuple[str, str]], bytes]:
    """Return the application's whole answer."""
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start(status: str, headers: list[tuple[str, str]], *_: Any) -> None:
        started[:] = [(status, headers)]

    body = b"".join(app(environ, start))
    status, headers = started[0]
    return status, headers, body


def _without_length(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [header for header in headers if header[0].lower() != "content-length"]
