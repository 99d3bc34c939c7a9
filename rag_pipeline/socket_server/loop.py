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

    def serve(
        self,
        listener: _socket.socket,
        app: WsgiApp,
        fd: int,
        drain: Callable[[], float | None],
        finish: Callable[[], None],
        abandon: Callable[[], None],
    ) -> None:
        """Serve until :meth:`stop`: answer HTTP with the WSGI app, and call ``drain`` when due.

        ``drain`` is called when ``fd`` can be read and when the seconds it returned last have passed. ``finish`` is
        called once after the listener is closed, to say goodbye to clients. Once that has gone out, or did not in a
        short time, open requests are ended and ``abandon`` is called to release what is left.
        """
        ...

    def stop(self) -> None:
        """End :meth:`serve`; called on the loop's thread."""
        ...
