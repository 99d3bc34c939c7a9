"""The way into Engine.IO over HTTP: what is refused, the body that is read, and the guard around polls."""

from __future__ import annotations

import io
from collections.abc import Callable, Container, Iterable
from typing import Any

from rag_pipeline.socket_server.body import BAD_REQUEST, LENGTH_REQUIRED, BodyError
from rag_pipeline.socket_server.loop import CONNECTION, Environ, Loop, StartResponse, WsgiApp
from rag_pipeline.socket_server.polling import PollGuard
from rag_pipeline.socket_server.refusals import FULL, Refusal, bad_request, parameter, refusal_for

Headers = list[tuple[str, str]]


class Gate:
    """A WSGI application around that of a Socket.IO or Engine.IO server.

    ``engine`` is the Engine.IO server, ``cors`` gives the headers that let a page read an error, ``has_room`` tells
    whether one more session may be opened over a transport.
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
        self._guard = PollGuard(app, self._session, _end, loop)
        self._transports: Container[str] = tuple(engine.transports)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        refusal = refusal_for(environ, self._transports, lambda sid: self._session(sid) is not None)
        if refusal is None and environ["REQUEST_METHOD"] == "POST":
            refusal = self._read_body(environ)
        if refusal is None and environ["REQUEST_METHOD"] == "GET" and parameter(environ, "sid") is None:
            refusal = None if self._has_room(parameter(environ, "transport") or "") else FULL
        if refusal is None:
            return self._guard(environ, start_response)
        start_response(refusal.status, [*refusal.headers, *self._cors(environ)])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [refusal.encode()]

    def _read_body(self, environ: Environ) -> Refusal | None:
        """Read what the client sent, whatever frames it, for the library to find it as it knows it."""
        try:
            if "CONTENT_LENGTH" not in environ and "HTTP_TRANSFER_ENCODING" not in environ:
                raise BodyError(LENGTH_REQUIRED, "a POST needs a Content-Length or a chunked body")
            body = environ[CONNECTION].read_body(self._engine.max_http_buffer_size)
            if not body:
                raise BodyError(BAD_REQUEST, "the body is empty")
            if body.startswith(b"d="):  # the library would take it, from the form of any web page
                raise BodyError(BAD_REQUEST, "JSONP is not supported")
        except BodyError as error:
            session = self._session(parameter(environ, "sid"))
            if session is not None and error.status != LENGTH_REQUIRED:
                _end(session, False)
            return bad_request(3, f"Bad request: {error.message}", status=error.status)
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        return None

    def _session(self, sid: str | None) -> Any:
        session = self._engine.sockets.get(sid)
        return None if session is None or session.closed else session


def _end(session: Any, goodbye: bool) -> None:
    session.close(wait=False, abort=not goodbye, reason="transport error")
