"""The seam between the socket server and the event loop that drives it.

eventlet is in maintenance; another driver fits in by giving these calls. All of them, and every callback, run on the
loop's one thread; a callback must not wait.
"""

from __future__ import annotations

import _socket
from collections.abc import Callable, Iterable
from typing import Any, Protocol

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
WsgiApp = Callable[[Environ, StartResponse], Iterable[bytes]]

DETACH = "rag_pipeline.detach"
"""Key of the WSGI environ under which the driver puts a call that hands the request's socket over for good.

``detach() -> int`` returns a descriptor of its own that the caller closes; the driver writes nothing more to the
connection and leaves it open.
"""


class Cancellable(Protocol):
    """Something that was set up and can be taken back."""

    def cancel(self) -> None:
        """Take it back; idempotent."""
        ...


class Site(Protocol):
    """What a loop serves, and how it takes its leave."""

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, as a WSGI application."""
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
