"""The Socket.IO server: binds in the caller's thread, and serves on a native thread of its own."""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections.abc import Callable

from rag_pipeline.access import OPEN, Guard
from rag_pipeline.access.hosts import HostPolicy
from rag_pipeline.access.origins import OriginPolicy
from rag_pipeline.broadcast import Hub
from rag_pipeline.common import descriptors, native
from rag_pipeline.common.config import Settings
from rag_pipeline.common.listener import SOCKET_SETTINGS, open_listener
from rag_pipeline.errors import ServiceError
from rag_pipeline.socket_server.library_hooks import unsupported_version
from rag_pipeline.socket_server.loop import Loop

logger = logging.getLogger("rag_pipeline.socket")

GUARANTEED_CONNECTIONS = 64
START_TIMEOUT_SECONDS = 15
STOP_TIMEOUT_SECONDS = 5


class SocketServer:
    """Serves the hub's events over Socket.IO.

    With ``direct`` False it takes the library path to the clients, which is slower and needs no hooks. ``address`` and
    ``port`` are the bound ones. ``probe_token`` lets the service itself see client counts in ``/health``.
    """

    def __init__(
        self,
        settings: Settings,
        policy: OriginPolicy,
        hub: Hub,
        *,
        direct: bool = True,
        guard: Guard = OPEN,
        hosts: HostPolicy | None = None,
    ) -> None:
        self.hub = hub
        self._settings = settings
        self._policy = policy
        self._direct = direct
        self._guard = guard
        self._hosts = hosts
        self.probe_token = secrets.token_urlsafe(24)
        self._listener = open_listener(settings.host, settings.socket_port, settings=SOCKET_SETTINGS)
        self.address: str = self._listener.address[0]
        self.port: int = self._listener.address[1]
        self._share = descriptors.connections.share(GUARANTEED_CONNECTIONS)
        self._thread: native.NativeThread | None = None
        self._loop: Loop | None = None
        self._accepted: Callable[[], int] = lambda: 0
        self._started = native.Future()
        self._stopped = False

    def start(self) -> None:
        """Start the thread and return once the server answers; raises ServiceError if it does not start."""
        reason = unsupported_version() if self._direct else None
        if reason is not None:
            self._direct = False
            logger.warning("%s: using the library path, which is slower", reason)
        self._thread = native.start_thread(self._run, "rag-pipeline-socket")
        if not self._started.wait(START_TIMEOUT_SECONDS):
            raise ServiceError(f"the Socket.IO server did not start within {START_TIMEOUT_SECONDS} seconds")
        error = self._started.value
        if isinstance(error, BaseException):
            self._thread.join(STOP_TIMEOUT_SECONDS)
            raise ServiceError(f"the Socket.IO server did not start: {error}") from error

    @property
    def alive(self) -> bool:
        """Whether the thread runs; only a request to the port shows whether the server answers."""
        return self._thread is not None and not self._thread.join(0)

    @property
    def accepted(self) -> int:
        """The number of connections accepted since the start."""
        return self._accepted()

    def stop(self) -> bool:
        """Close the clients, end the thread and free the port. Idempotent; False if the thread did not end in time."""
        if self._stopped:
            return True
        self._stopped = True
        ended = True
        if self._thread is not None:
            self.hub.call(self._stop_loop)
            ended = self._thread.join(STOP_TIMEOUT_SECONDS)
        self._share.close()
        if ended:
            self._listener.close()
            self.hub.mailbox.close()
        else:
            self._listener.give_up()
            logger.error("the Socket.IO server did not stop within %d seconds", STOP_TIMEOUT_SECONDS)
        return ended

    def _stop_loop(self) -> None:
        if self._loop is not None:
            self._loop.stop()

    def _run(self) -> None:
        try:
            # Imported here, so that only a program that serves loads eventlet.
            from rag_pipeline.socket_server.application import Application
            from rag_pipeline.socket_server.eventlet_driver import EventletLoop

            loop = EventletLoop(self._share)
            app = Application(
                self._settings,
                self._policy,
                self.hub,
                loop,
                direct=self._direct,
                guard=self._guard,
                hosts=self._hosts,
                probe_token=self.probe_token,
            )
            self._loop = loop
            self._accepted = lambda: loop.accepted

            def on_first_drain() -> None:
                app.tick()
                self._started.set()

            self.hub.call(on_first_drain)
            loop.serve(self._listener, app, self.hub.mailbox.fd, self.hub.drain)
        except BaseException as error:  # the starting thread waits for the outcome, whatever it is
            if self._started.wait(0):
                logger.exception("the Socket.IO server ended")
            self._started.set(error)
        finally:
            with contextlib.suppress(OSError):
                self._listener.close()
