"""StatusServer: builds the parts of the service, and starts and stops them in a stated order."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import fields
from types import TracebackType
from typing import Self

from rag_pipeline.access import startup_warnings
from rag_pipeline.access.guard import guard_from_settings
from rag_pipeline.access.hosts import HostPolicy
from rag_pipeline.access.origins import OriginPolicy
from rag_pipeline.common import descriptors
from rag_pipeline.common.config import Settings
from rag_pipeline.common.document_search import DocumentSearch
from rag_pipeline.common.lifecycle import Holders, StopSequence, StopStep
from rag_pipeline.common.listener import resolve
from rag_pipeline.common.probe import reachable
from rag_pipeline.common.version import __version__
from rag_pipeline.http_server import HttpServer
from rag_pipeline.http_server.limits import Limits
from rag_pipeline.http_server.messages import HttpRequest, HttpResponse
from rag_pipeline.http_server.router import respond
from rag_pipeline.http_server.service_view import HealthReport, combined
from rag_pipeline.journal.factory import open_backend
from rag_pipeline.service.forked_child import OneTimePermit, end_watch, watch_for_reports
from rag_pipeline.service.full_view import FullView
from rag_pipeline.service.served_pipelines import ServedPipelines
from rag_pipeline.service.wiring import Wiring
from rag_pipeline.socket_server import SocketServer
from rag_pipeline.status.core import StatusCore
from rag_pipeline.status.pipeline import PipelineStatus

logger = logging.getLogger("rag_pipeline.service")

JOURNAL_STOP_SECONDS = 10.0
PORT_SETTINGS = ("host", "http_port", "socket_port")

running: set[StatusServer] = set()
"""The servers that were started and have not completely stopped."""
built: weakref.WeakSet[StatusServer] = weakref.WeakSet()
"""The servers that were built in this process."""


class StatusServer:
    """Both servers and the pipelines they show. Start it with ``start_status_server``.

    The start has these steps; if one fails, the earlier ones are undone:

    1. Both ports are bound, HTTP first. The soft limit of open files is raised to the hard one.
    2. The keys for verifying tokens are requested.
    3. The journal is opened.
    4. The pipelines are attached.
    5. The Socket.IO thread starts and answers.
    6. The HTTP thread starts.
    7. With Redis: pipelines whose ids another process may own are attached once that process is known to be dead.

    It is a context manager: the end of the block stops the server, unless another call of ``start_status_server`` that
    returned this server still holds it, or the block is nested in another one. ``stop()`` stops it in any case.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        pipelines: Iterable[PipelineStatus] | None = None,
        documents: DocumentSearch | None = None,
        direct: bool = True,
    ) -> None:
        self._settings = settings
        self._started = False
        self._holders = Holders()
        self._logged: set[tuple[str, ...]] = set()
        self._guard = guard_from_settings(settings.auth)
        with ExitStack() as undo:
            self._http = HttpServer(settings.host, settings.http_port, limits=Limits(streams=settings.event_streams))
            undo.callback(self._http.stop)
            self._policy = OriginPolicy(settings, self._http.port)
            self._hosts = HostPolicy(settings, self._http.address, token_required=self._guard.required)
            self._backend = open_backend(settings)
            undo.callback(self._backend.stop)
            self._pipelines = ServedPipelines(self._backend, pipelines)
            self._wiring = Wiring(self._backend, self._pipelines.all, backlog_limit_bytes=settings.backlog_limit_bytes)
            self._sockets = SocketServer(
                settings, self._policy, self._wiring.hub, direct=direct, guard=self._guard, hosts=self._hosts
            )
            undo.callback(self._sockets.stop)
            self._permit = OneTimePermit()
            undo.pop_all()
        self.host: str = settings.host
        self.http_port: int = self._http.port
        """The port of the HTTP server; the chosen one if 0 was asked for."""
        self.socket_port: int = self._sockets.port
        """The port of the Socket.IO server; the chosen one if 0 was asked for."""
        self._view = FullView(
            self._wiring,
            self._sockets,
            self._pipelines.all,
            http_port=self._http.port,
            version=__version__,
            controllable=settings.control,
            documents=documents,
            search_refusal=_search_refusal(settings, documents, token_required=self._guard.required),
        )
        self._ending = StopSequence(
            [
                StopStep("the HTTP server", self._stop_http, 5.0),
                StopStep("the pipelines", self._pipelines.end, 2.0),
                StopStep("the journal", self._backend.stop, JOURNAL_STOP_SECONDS),
                StopStep("the Socket.IO server", self._sockets.stop, 8.0),
                StopStep("the service", self._forget, 1.0),
            ]
        )
        built.add(self)

    # -- start and stop ------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The address of the HTTP server on this machine, such as ``http://127.0.0.1:8003``."""
        host = reachable(self._sockets.address)
        return f"http://[{host}]:{self.http_port}" if ":" in host else f"http://{host}:{self.http_port}"

    @property
    def running(self) -> bool:
        """Whether both servers run and no stop was requested."""
        return self._started and not self._ending.begun and self._http.running and self._sockets.alive

    def __repr__(self) -> str:
        state = "running" if self.running else "stopped" if self._ending.over or not self._started else "stopping"
        count = len(self.pipelines())
        pipelines = f"{count} pipeline" + ("" if count == 1 else "s")
        return f"<StatusServer {self.url}, Socket.IO on port {self.socket_port}, {state}, {pipelines}>"

    def start(self) -> Self:
        """Start both servers; return once both answer."""
        try:
            end_watch()
            descriptors.raise_soft_limit()
            self._guard.start()
            self._backend.start()
            claimed = self._pipelines.begin(self._wiring.sink)
            self._sockets.start()
            self._http.start(self._respond)
            self._pipelines.attach_claimed(claimed)
        except BaseException:
            self.stop()
            raise
        self._started = True
        self._holders.take()
        running.add(self)
        exposed = startup_warnings.exposure_warning(self._sockets.address, self._guard, control=self._settings.control)
        for line in (self._policy.describe(), exposed):
            if line is not None:
                logger.warning("%s", line)
        return self

    def stop(self) -> None:
        """Stop within seconds; idempotent, and safe against an exception that is raised into it.

        1. The HTTP server ends, and no more keys are fetched.
        2. Each pipeline publishes its held-back progress and status, and is detached.
        3. The journal stores the queued events, and is closed.
        4. The Socket.IO server sends the queued events, disconnects its clients, and ends.
        5. The server is forgotten: a new start on its ports makes a new one.

        Each step runs on a thread of its own. A step that hangs, for example on a disk that does not answer, is logged
        and left behind. If the call is interrupted, those threads continue, and the next call waits for them.
        """
        self._ending.run()

    def __enter__(self) -> Self:
        self._holders.enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._holders.exit():
            self.stop()

    def _stop_http(self) -> None:
        self._http.stop()
        self._guard.stop()

    def _forget(self) -> None:
        running.discard(self)
        self._permit.close()

    def leave_to_parent(self) -> None:
        """Become a stopped server in a forked child, which has none of the threads."""
        self._ending = StopSequence()
        if self._started:
            self._started = False
            watch_for_reports(self._permit, self._pipelines.attached, later=not self._pipelines.are_chosen)

    # -- a second start ------------------------------------------------------------------------------------------------

    def serves(self, settings: Settings) -> bool:
        """Return whether a start with these settings would need the ports of this server."""
        ports = (settings.http_port, settings.socket_port)
        if 0 in ports or ports != (self.http_port, self.socket_port):
            return False
        _, address = resolve(settings.host, settings.socket_port)
        return bool(address[0] == self._sockets.address)

    def hold(self) -> None:
        """Count one more call of start_status_server that returned this server."""
        self._holders.take()

    def let_go(self) -> None:
        """Undo :meth:`hold`; the last call stops the server."""
        if self._holders.give_back():
            self.stop()

    def join_in(self, settings: Settings, chosen: Sequence[PipelineStatus] | None) -> None:
        """Show the pipelines of a second start too; log once which of its other arguments are ignored."""
        ignored = [
            "state_dir (STATUS_STATE_DIR)" if field.name == "state_dir" else field.name
            for field in fields(Settings)
            if field.name not in PORT_SETTINGS and getattr(settings, field.name) != getattr(self._settings, field.name)
        ]
        if (chosen is not None) != self._pipelines.are_chosen:
            ignored.append("pipelines")
        elif chosen is not None:
            self._pipelines.add(chosen)
        if ignored and tuple(ignored) not in self._logged:
            self._logged.add(tuple(ignored))
            logger.warning(
                "start_status_server returned the server that runs on %s already; until it is stopped, these settings "
                "of the new call are ignored: %s",
                self.url,
                ", ".join(ignored),
            )

    # -- what it shows -------------------------------------------------------------------------------------------------

    def pipelines(self) -> list[StatusCore]:
        """Return the pipelines that are shown, the default one first."""
        return self._pipelines.all()

    def status(self) -> Mapping[str, object]:
        """Return the body of ``GET /status``."""
        return combined(self._view.states())

    def health(self) -> HealthReport:
        """Return the body of ``GET /health``."""
        return self._view.health()

    def _respond(self, request: HttpRequest) -> HttpResponse:
        return respond(request, self._view, self._policy, self._guard, self._hosts)


def _search_refusal(settings: Settings, documents: DocumentSearch | None, *, token_required: bool) -> str | None:
    """Return why documents can't be searched over HTTP; None if they can.

    Texts are more than names and states, so without tokens every user of this machine could read private documents.
    """
    if settings.search is False:
        return "documents can't be searched over HTTP: STATUS_SEARCH is 0"
    if documents is None:
        return (
            "documents can't be searched here: ask the service of the pipeline that stored them, or start "
            "rag-pipeline serve with STATUS_SEARCH=1"
        )
    if settings.search is None and not token_required:
        return (
            "search shows the text of documents: set STATUS_AUTH_TOKEN to allow it to those with the token, or "
            "STATUS_SEARCH=1 to allow it to everyone"
        )
    return None
