"""Protocol of the event loop that the socket server runs on.

eventlet is in maintenance; another driver replaces it by implementing :class:`Loop`. All calls and all callbacks run on
the loop's one thread; a callback must not wait.
"""

from __future__ import annotations

import _socket
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
WsgiApp = Callable[[Environ, StartResponse], Iterable[bytes]]
Headers = list[tuple[str, str]]

CONNECTION = "rag_pipeline.connection"
"""Key of the WSGI environ under which the driver puts the request's :class:`HttpConnection`."""

# An answer depends on the origin, must not be cached, and no browser may guess its type.
ANSWER_HEADERS = (("Vary", "Origin"), ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))


class DetachedConnection(NamedTuple):
    """A connection taken from the HTTP server: its descriptor, and what to call once that is closed."""

    fd: int
    closed: Callable[[], None]


class Cancellable(Protocol):
    """A timer or a watch."""

    def cancel(self) -> None:
        """Cancel it; idempotent."""
        ...


class HttpConnection(Protocol):
    """The connection of a request."""

    @property
    def gone(self) -> bool:
        """Whether the peer has closed or reset the connection, or half-closed it."""
        ...

    @property
    def lost(self) -> bool:
        """Whether the peer left before it had received everything; also valid after the connection has ended."""
        ...

    def read_body(self, limit: int) -> bytes:
        """Return the request's whole body; raises :class:`~rag_pipeline.socket_server.request_body.BodyError`.

        A connection whose body was not read is closed after the answer.
        """
        ...

    def detach(self) -> DetachedConnection:
        """Hand the socket over: the caller owns and closes the returned descriptor.

        The driver writes nothing more to the connection and leaves it open.
        """
        ...


class ServedApp(Protocol):
    """The application that a loop serves."""

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, as a WSGI application."""
        ...

    def make_room(self) -> bool:
        """Close a dispensable WebSocket for a new one; False if there is none."""
        ...

    def close_clients(self) -> None:
        """Send CLOSE to every client."""
        ...

    def has_waiting_clients(self) -> bool:
        """Return whether a client still has to fetch its CLOSE."""
        ...

    def abort_clients(self) -> None:
        """Cut off the clients that have not taken their CLOSE in time."""
        ...


class Loop(Protocol):
    """An event loop that also serves HTTP."""

    def watch_read(self, fd: int, callback: Callable[[], None]) -> Cancellable:
        """Call back each time the descriptor is readable."""
        ...

    def watch_write(self, fd: int, callback: Callable[[], None]) -> Cancellable:
        """Call back each time the descriptor is writable."""
        ...

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Cancellable:
        """Call back once after the given time."""
        ...

    def serve(self, listener: _socket.socket, app: ServedApp, fd: int, drain: Callable[[], float | None]) -> None:
        """Serve until :meth:`stop`: answer HTTP, and call ``drain`` when it is due.

        ``drain`` is called when ``fd`` is readable, and when the seconds that it returned last have passed. At the end:

        1. ``app.close_clients``;
        2. while ``app.has_waiting_clients``, at most for a short time, clients are still served;
        3. the listener is closed, answers have a short time to go out, and open requests are killed;
        4. ``app.abort_clients``.
        """
        ...

    def stop(self) -> None:
        """End :meth:`serve`; called on the loop's thread."""
        ...
