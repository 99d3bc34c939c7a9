"""The seam between the socket server and the event loop that drives it.

eventlet is in maintenance; another driver fits in by giving these calls. All of them, and every callback, run on the
loop's one thread; a callback must not wait.
"""

from __future__ import annotations

import _socket
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
WsgiApp = Callable[[Environ, StartResponse], Iterable[bytes]]

CONNECTION = "rag_pipeline.connection"
"""Key of the WSGI environ under which the driver puts the request's :class:`HttpConnection`."""

# Who may read an answer depends on the origin, none is worth keeping, and none is for a browser to guess the type of.
ANSWER_HEADERS = (("Vary", "Origin"), ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))


class Detached(NamedTuple):
    """A connection that was handed over: its descriptor, and what to call once that is closed."""

    fd: int
    closed: Callable[[], None]


class Cancellable(Protocol):
    """Something that was set up and can be taken back."""

    def cancel(self) -> None:
        """Take it back; idempotent."""
        ...


class HttpConnection(Protocol):
    """The connection that a request came on."""

    @property
    def gone(self) -> bool:
        """Whether the peer has closed or reset the connection, or its half of it."""
        ...

    @property
    def lost(self) -> bool:
        """Whether the peer left without having received all that was written; known after the end, too."""
        ...

    def read_body(self, limit: int) -> bytes:
        """Return the request's whole body; raises :class:`~rag_pipeline.socket_server.body.BodyError`.

        A connection whose body was not read is closed after the answer.
        """
        ...

    def detach(self) -> Detached:
        """Hand the socket over for good: return a descriptor of its own that the caller closes, and then says so.

        The driver writes nothing more to the connection and leaves it open.
        """
        ...


class Site(Protocol):
    """What a loop serves, and how it takes its leave."""

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, as a WSGI application."""
        ...

    def make_room(self) -> bool:
        """End a client that can be done without, for another one's WebSocket; False if there is none."""
        ...

    def finish(self) -> None:
        """Say goodbye to every client."""
        ...

    def lingering(self) -> bool:
        """Return whether a client has still to come and fetch its goodbye."""
        ...

    def abandon(self) -> None:
        """Release what did not take its goodbye in time."""
        ...


class Loop(Protocol):
    """What connections and timers need of an event loop."""

    def watch_read(self, fd: int, callback: Callable[[], None]) -> Cancellable:
        """Call back each time the descriptor can be read."""
        ...

    def watch_write(self, fd: int, callback: Callable[[], None]) -> Cancellable:
        """Call back each time the descriptor can be written."""
        ...

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Cancellable:
        """Call back once after so many seconds."""
        ...

    def serve(self, listener: _socket.socket, site: Site, fd: int, drain: Callable[[], float | None]) -> None:
        """Serve until :meth:`stop`: answer HTTP, and call ``drain`` when due.

        ``drain`` is called when ``fd`` can be read and when the seconds it returned last have passed. At the end:
        1. ``site.finish``; 2. while ``site.lingering``, and for a short time at most, clients are still served; 3. the
        listener is closed, what is being sent has a short time to go out, and open requests are ended;
        4. ``site.abandon``.
        """
        ...

    def stop(self) -> None:
        """End :meth:`serve`; called on the loop's thread."""
        ...
