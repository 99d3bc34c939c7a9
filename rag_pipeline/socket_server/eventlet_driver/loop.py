"""The event loop on eventlet's hub: watches, timers, and the hub's ``drain``."""

from __future__ import annotations

import _socket
import logging
from collections.abc import Callable
from time import monotonic
from typing import Any

from rag_pipeline.common.descriptors import Share
from rag_pipeline.socket_server.connections import Connections
from rag_pipeline.socket_server.eventlet_driver.http import Acceptor
from rag_pipeline.socket_server.eventlet_driver.imports import eventlet, greenio, hubs, patcher
from rag_pipeline.socket_server.loop import Cancellable, ServedApp

logger = logging.getLogger("rag_pipeline.socket")

_native_socket = patcher.original("socket")

STOP_STEP_SECONDS = 0.5
MAX_REQUESTS_AT_ONCE = 20_000


class EventletLoop:
    """Drives the socket server on the calling thread's eventlet hub."""

    def __init__(self, share: Share) -> None:
        self.accepted = 0  # connections since the start
        self._stopping: Any = None
        self._share = share

    def watch_read(self, fd: int, callback: Callable[[], None]) -> Cancellable:
        """Call back each time the descriptor is readable."""
        return _Watch("read", fd, callback)

    def watch_write(self, fd: int, callback: Callable[[], None]) -> Cancellable:
        """Call back each time the descriptor is writable."""
        return _Watch("write", fd, callback)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Cancellable:
        """Call back once after the given time."""
        timer: Cancellable = hubs.get_hub().schedule_call_global(seconds, _log_errors, callback)
        return timer

    def serve(self, listener: _socket.socket, app: ServedApp, fd: int, drain: Callable[[], float | None]) -> None:
        """Serve until :meth:`stop`; see :class:`~rag_pipeline.socket_server.loop.Loop`."""
        hubs.use_hub("epolls" if hasattr(patcher.original("select"), "epoll") else None)
        self._stopping = eventlet.Event()
        green_listener = greenio.GreenSocket(_native_socket.socket(fileno=listener.detach()))
        requests = eventlet.GreenPool(MAX_REQUESTS_AT_ONCE)
        acceptor = eventlet.spawn(
            Acceptor(green_listener, app, Connections(self._share), requests, self._count_accepted).run
        )
        pump = _Pump(self, fd, drain)
        try:
            self._stopping.wait()
        finally:
            _log_errors(app.close_clients)
            with eventlet.Timeout(STOP_STEP_SECONDS, False):
                while app.has_waiting_clients():
                    eventlet.sleep(STOP_STEP_SECONDS / 50)
            acceptor.kill()
            green_listener.close()
            with eventlet.Timeout(STOP_STEP_SECONDS, False):
                requests.waitall()
                while hubs.get_hub().get_writers():
                    eventlet.sleep(STOP_STEP_SECONDS / 50)
            for request in list(requests.coroutines_running):
                eventlet.kill(request)
            _log_errors(app.abort_clients)
            pump.cancel()
            _log_errors(_close_hub)

    def _count_accepted(self) -> None:
        self.accepted += 1

    def stop(self) -> None:
        """End :meth:`serve`; called on the loop's thread."""
        if not self._stopping.ready():
            self._stopping.send(None)


def _close_hub() -> None:
    """Close the thread's hub: eventlet keeps it and its descriptor when the thread has ended."""
    hub = hubs.get_hub()
    hub.abort(wait=True)
    if hasattr(hub, "poll") and hasattr(hub.poll, "close"):
        hub.poll.close()


class _Watch:
    """A permanent listener on a descriptor, until it is cancelled."""

    __slots__ = ("_callback", "_listener")

    def __init__(self, kind: str, fd: int, callback: Callable[[], None]) -> None:
        hub = hubs.get_hub()
        self._callback = callback
        self._listener = hub.add(
            hub.READ if kind == "read" else hub.WRITE, fd, self._fire, _ignore_closed, self._ignore_reuse
        )

    def _fire(self, _fd: int) -> None:
        # eventlet collects a round of callbacks before it calls them: an earlier one may have cancelled this one.
        if self._listener is not None:
            _log_errors(self._callback)

    def _ignore_reuse(self) -> None:
        """Called by eventlet when the descriptor's number is used again; the owner has cancelled by then."""

    def cancel(self) -> None:
        """Remove the listener; idempotent."""
        listener, self._listener = self._listener, None
        if listener is not None:
            hubs.get_hub().remove(listener)


def _ignore_closed(*_error: object) -> None:
    """Called by eventlet when a descriptor was closed under its listener; the owner cancels first."""


def _log_errors(callback: Callable[[], None]) -> None:
    # eventlet's hub would print an exception and drop the descriptor.
    try:
        callback()
    except Exception:
        logger.exception("a callback of the socket server failed")


class _Pump:
    """Calls ``drain`` when the mailbox was signalled, or when the time that ``drain`` asked for has come.

    It uses the hub's callbacks, not a greenlet: a greenlet that waits registers and unregisters its descriptor each
    time, and each of these system calls releases the GIL, which a busy thread then keeps for 5 ms.
    """

    def __init__(self, loop: EventletLoop, fd: int, drain: Callable[[], float | None]) -> None:
        self._loop = loop
        self._drain = drain
        self._timer: Cancellable | None = None
        self._due = 0.0
        self._watch = loop.watch_read(fd, self._turn)
        _log_errors(self._turn)

    def _turn(self) -> None:
        wait: float | None = 1.0  # after a failure: try again, but not in a busy loop
        try:
            wait = self._drain()
        finally:
            if wait is not None:
                self._wake_in(wait)

    def _wake_in(self, wait: float) -> None:
        # An earlier timer is kept, and asks again: eventlet would wake up for a cancelled timer all the same.
        due = monotonic() + wait
        if self._timer is None or due < self._due:
            self._cancel_timer()
            self._due = due
            self._timer = self._loop.call_later(wait, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self._turn()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def cancel(self) -> None:
        """Stop calling ``drain``."""
        self._watch.cancel()
        self._cancel_timer()
