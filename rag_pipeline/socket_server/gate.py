"""The way of a request into Engine.IO: checks, the body, and the guard around polls."""

from __future__ import annotations

import io
from collections.abc import Callable, Container, Iterable
from typing import Any

from rag_pipeline.socket_server.error_answers import (
    TOO_MANY_SESSIONS,
    ErrorAnswer,
    bad_request,
    check_request,
    query_parameter,
)
from rag_pipeline.socket_server.loop import CONNECTION, Environ, Headers, Loop, StartResponse, WsgiApp
from rag_pipeline.socket_server.polling import PollGuard
from rag_pipeline.socket_server.request_body import BAD_REQUEST, LENGTH_REQUIRED, BodyError


class RequestGate:
    """WSGI middleware around a Socket.IO or Engine.IO server.

    ``engine`` is the Engine.IO server, ``cors`` returns the headers with which a page can read an error, ``has_room``
    returns whether one more session may be opened over a transport.
    """

    def __init__(
        self,
        app: WsgiApp,
        engine: Any,
        loop: Loop,
        cors: Callable[[Environ], Headers] = lambda _: [],
        has_room: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._engine = engine
        self._cors = cors
        self._has_room = has_room
        self._guard = PollGuard(app, self._session, _close, loop)
        self._transports: Container[str] = tuple(engine.transports)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        error = check_request(environ, self._transports, lambda sid: self._session(sid) is not None)
        if error is None and environ["REQUEST_METHOD"] == "POST":
            error = self._read_body(environ)
        if error is None and environ["REQUEST_METHOD"] == "GET" and query_parameter(environ, "sid") is None:
            error = None if self._has_room(query_parameter(environ, "transport") or "") else TOO_MANY_SESSIONS
        if error is None:
            return self._guard(environ, start_response)
        start_response(error.status, [*error.headers, *self._cors(environ)])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [error.encode()]

    def _read_body(self, environ: Environ) -> ErrorAnswer | None:
        """Read the body, chunked or not, and put it where the library expects it."""
        try:
            if "CONTENT_LENGTH" not in environ and "HTTP_TRANSFER_ENCODING" not in environ:
                raise BodyError(LENGTH_REQUIRED, "a POST needs a Content-Length or a chunked body")
            body = environ[CONNECTION].read_body(self._engine.max_http_buffer_size)
            if not body:
                raise BodyError(BAD_REQUEST, "the body is empty")
            if body.startswith(b"d="):  # the library would accept it, and any web page's form can send it
                raise BodyError(BAD_REQUEST, "JSONP is not supported")
        except BodyError as error:
            session = self._session(query_parameter(environ, "sid"))
            if session is not None and error.status != LENGTH_REQUIRED:
                _close(session, False)
            return bad_request(3, f"Bad request: {error.message}", status=error.status)
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        return None

    def _session(self, sid: str | None) -> Any:
        session = self._engine.sockets.get(sid)
        return None if session is None or session.closed else session


def _close(session: Any, send_close: bool) -> None:
    session.close(wait=False, abort=not send_close, reason="transport error")
