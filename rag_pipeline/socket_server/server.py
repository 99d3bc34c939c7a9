"""The Socket.IO server: binds in the caller's thread, serves on a native thread of its own."""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from rag_pipeline import descriptors, native
from rag_pipeline.access import OPEN, Guard
from rag_pipeline.config import Settings
from rag_pipeline.errors import ServiceError
from rag_pipeline.fanout import Call, Hub, Item, NewJournal
from rag_pipeline.fanout.views import Views
from rag_pipeline.handover import Handover
from rag_pipeline.hosts import HostPolicy
from rag_pipeline.journal.gap import EventBound
from rag_pipeline.journal.keeper import Keeper
from rag_pipeline.journal.writer import Writer
from rag_pipeline.listener import SOCKET_SETTINGS, open_listener
from rag_pipeline.origins import OriginPolicy
from rag_pipeline.socket_server import engine
from rag_pipeline.status import Sink, StatusCore

if TYPE_CHECKING:
    from rag_pipeline.journal.redis_keeper import RedisKeeper

logger = logging.getLogger("rag_pipeline.socket")

GUARANTEED_CONNECTIONS = 64
START_TIMEOUT_SECONDS = 15
STOP_TIMEOUT_SECONDS = 5


class SocketServer:
    """Serves Socket.IO for the given pipelines, which publish to ``entrance``.

    ``direct`` False takes the library's own path to the clients, which is slower and needs no hooks. ``address`` and
    ``port`` are where it is bound; ``probe_token`` is the service's own, for its ``/health``.
    """

    def __init__(
        self,
        settings: Settings,
        policy: OriginPolicy,
        pipelines: Callable[[], Iterable[StatusCore]],
        keeper: Keeper | RedisKeeper | None = None,
        *,
        direct: bool = True,
        guard: Guard = OPEN,
        hosts: HostPolicy | None = None,
    ) -> None:
        self._settings = settings
        self._policy = policy
        self._direct = direct
        self._guard = guard
        self._hosts = hosts
        self.probe_token = secrets.token_urlsafe(24)
        self._listener = open_listener(settings.host, settings.socket_port, settings=SOCKET_SETTINGS)
        self.address: str = self._listener.address[0]
        self.port: int = self._listener.address[1]
        self.backlog_limit_bytes: int = settings.backlog_limit_bytes
        self.handover: Handover[Item] = Handover(bound=EventBound())
        keeper = keeper or Keeper()
        self._share = descriptors.connections.share(GUARANTEED_CONNECTIONS)
        self.views = Views() if keeper.shared else None
        sink = keeper.connect(
            self.handover.publish,
            self._post,
            begin_journal=lambda *known: self.handover.publish(NewJournal(*known)),
            dropped=lambda: self.handover.dropped,
            mark_stalled=lambda ids: self.hub.call(lambda: self.hub.mark_stalled(ids)),
            pipelines=pipelines,
        )
        self.entrance: Sink = self.handover if sink is None else sink
        self.hub = Hub(
            pipelines,
            self.handover,
            keeper.tail,
            entrance=self.entrance,
            fetch=None if sink is None else keeper.fetch,
            reaches=None if sink is None else keeper.reaches,
            views=self.views,
            backlog_limit_bytes=settings.backlog_limit_bytes,
        )
        self._thread: native.NativeThread | None = None
        self._stop: Callable[[], None] | None = None
        self._accepted: Callable[[], int] = lambda: 0
        self._started = native.OneShot()
        self._stopped = False

    def start(self) -> None:
        """Start the thread; return once the server answers. Raises ServiceError if it does not come up."""
        reason = engine.unsupported() if self._direct else None
        if reason is not None:
            self._direct = False
            logger.warning("%s: using the library's own path, which is slower", reason)
        self._thread = native.start_thread(self._run, "rag-pipeline-socket")
        if not self._started.wait(START_TIMEOUT_SECONDS):
            raise ServiceError(f"the Socket.IO server did not start within {START_TIMEOUT_SECONDS} seconds")
        error = self._started.value
        if isinstance(error, BaseException):
            self._thread.join(STOP_TIMEOUT_SECONDS)
            raise ServiceError(f"the Socket.IO server did not start: {error}") from error

    @property
    def alive(self) -> bool:
        """Whether the thread runs; that the server answers is a question to its port."""
        return self._thread is not None and not self._thread.join(0)

    # -- for /health -------------------------------------------------------------------------------------------------

    @property
    def accepted(self) -> int:
        """How many connections were accepted since the start."""
        return self._accepted()

    @property
    def passes_writer(self) -> bool:
        """Whether events pass a journal's writer on their way to the hub."""
        return isinstance(self.entrance, Writer)

    def call_as_events_go(self, function: Callable[[], None]) -> None:
        """Have the hub call the function once the writer has handed on what was published so far."""
        if isinstance(self.entrance, Writer):
            self.entrance.publish(Call(function))

    @property
    def writer_progressed_at(self) -> float:
        """The monotonic time at which the writer's last turn began."""
        return self.entrance.progressed_at if isinstance(self.entrance, Writer) else 0.0

    @property
    def writer_ended(self) -> bool:
        """Whether the writer's thread has ended."""
        return isinstance(self.entrance, Writer) and self.entrance.ended

    def stop(self) -> bool:
        """Say goodbye to the clients, end the thread, free the port; return whether it ended in time. Idempotent."""
        if self._stopped:
            return True
        self._stopped = True
        ended = True
        if self._thread is not None:
            self.hub.call(self._end)
            ended = self._thread.join(STOP_TIMEOUT_SECONDS)
        self._share.close()
        if ended:
            self._listener.close()
            self.handover.close()
        else:
            self._listener.give_up()
            logger.error("the Socket.IO server did not stop within %d seconds", STOP_TIMEOUT_SECONDS)
        return ended

    def _post(self, function: Callable[[], None]) -> None:
        self.hub.call(function)

    def _end(self) -> None:
        if self._stop is not None:
            self._stop()

    def _run(self) -> None:
        try:
            # Imported here so that only a program that serves loads eventlet.
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
            self._stop = loop.stop
            self._accepted = lambda: loop.accepted

            def begun() -> None:
                app.start()
                self._started.set()

            self.hub.call(begun)
            loop.serve(self._listener, app, self.handover.fd, self.hub.drain)
        except BaseException as error:  # whatever it is, the starting thread has to hear of it
            if self._started.wait(0):
                logger.exception("the Socket.IO server ended")
            self._started.set(error)
        finally:
            with contextlib.suppress(OSError):
                self._listener.close()
