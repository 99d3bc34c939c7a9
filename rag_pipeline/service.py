"""The service: builds the parts, starts and stops them in a stated order, and knows what they show."""

from __future__ import annotations

import atexit
import logging
import os
import time
import weakref
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from rag_pipeline import native
from rag_pipeline.config import Settings
from rag_pipeline.events import iso
from rag_pipeline.http_server import HttpServer
from rag_pipeline.http_server.answers import Answer, Health, Request, answer
from rag_pipeline.http_server.page import Addresses
from rag_pipeline.origins import OriginPolicy
from rag_pipeline.probe import ProbeResult, probe
from rag_pipeline.socket_server import SocketServer
from rag_pipeline.status import PipelineStatus, pipeline_status, registry

logger = logging.getLogger("rag_pipeline.service")

PROBE_TIMEOUT_SECONDS = 2.0
PROBE_KEPT_SECONDS = 0.25


class StatusServer:
    """Both servers and the pipelines they show. Start it with :func:`start_status_server`.

    Starting: 1. both ports are bound, HTTP first; 2. the pipelines are attached; 3. the Socket.IO thread starts and
    answers; 4. the HTTP thread starts. What fails on the way ends what was started before it.
    """

    def __init__(
        self, settings: Settings, *, pipelines: Iterable[PipelineStatus] | None = None, direct: bool = True
    ) -> None:
        self._settings = settings
        self._chosen = None if pipelines is None else list(pipelines)
        self._attached: dict[int, PipelineStatus] = {}
        self._began = time.monotonic()
        self._stop_lock = native.RLock()
        self._stopped = False
        self._probe_lock = native.allocate_lock()
        self._last_probe: tuple[float, ProbeResult] | None = None
        self._http = HttpServer(settings.host, settings.http_port)
        try:
            self.http_port: int = self._http.port
            self._policy = OriginPolicy(settings, self.http_port)
            self._sockets = SocketServer(settings, self._policy, self.pipelines, direct=direct)
        except BaseException:
            self._http.stop()
            raise
        self.socket_port: int = self._sockets.port
        self.host: str = settings.host

    # -- life ------------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Start both servers; return once both answer."""
        try:
            self._attach_all()
            self._sockets.start()
            self._http.start(self._respond)
        except BaseException:
            self.stop()
            raise
        _running.add(self)
        line = self._policy.describe()
        if line:
            logger.warning("%s", line)
        return self

    def stop(self) -> None:
        """Stop within seconds; idempotent.

        1. The HTTP server ends; 2. each pipeline publishes what it held back, and is let go; 3. the Socket.IO server
        sends what is queued, says goodbye to its clients and ends.
        """
        with self._stop_lock:
            if self._stopped:
                return
            self._stopped = True
            _running.discard(self)
            registry.unwatch(self._attach)
            self._http.stop()
            for pipeline in list(self._attached.values()):
                pipeline.flush(everything=True)
                pipeline.detach(self._sockets.handover)
            self._sockets.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # -- pipelines -------------------------------------------------------------------------------------------------

    def pipelines(self) -> list[PipelineStatus]:
        """Return the pipelines to be shown, the default one first.

        The process-wide default is shown once it has reported, or while there is no other.
        """
        alive = [p for p in self._attached.copy().values() if not p.closed]
        if self._chosen is not None:
            return alive
        others = sorted((p for p in alive if p is not pipeline_status), key=lambda p: p.created)
        return [pipeline_status, *others] if pipeline_status.reported or not others else others

    def _attach_all(self) -> None:
        if self._chosen is not None:
            for pipeline in self._chosen:
                self._attach(pipeline)
            return
        self._attach(pipeline_status)
        for pipeline in registry.watch(self._attach):
            self._attach(pipeline)

    def _attach(self, pipeline: PipelineStatus) -> None:
        # A pipeline that serves is held, so that one whose owner lets go of it at its end is still shown.
        for created, former in self._attached.copy().items():
            if former.closed:  # shown no more: a program that makes pipelines as it goes must not grow
                self._attached.pop(created, None)
        self._attached[pipeline.created] = pipeline
        pipeline.attach(self._sockets.handover)

    # -- what the HTTP server asks ---------------------------------------------------------------------------------

    @property
    def addresses(self) -> Addresses:
        """The ports and namespaces a client can connect to."""
        return Addresses(self.http_port, self.socket_port)

    def status(self) -> Mapping[str, object]:
        """Return the default pipeline's state, with ``pipelines`` (states by id) when there are several."""
        pipelines = self.pipelines()
        if not pipelines:
            return {"pipelines": {}}
        state = pipelines[0].get()
        if len(pipelines) == 1:
            return state
        states = [state, *(p.get() for p in pipelines[1:])]
        return {**state, "pipelines": {s["pipeline_id"]: s for s in states}}

    def pipeline(self, pipeline_id: str) -> Mapping[str, object] | None:
        """Return the state of one pipeline; None if there is no such id."""
        return next((p.get() for p in self.pipelines() if p.pipeline_id == pipeline_id), None)

    def health(self) -> Health:
        """Return the health of all parts; the Socket.IO server is asked over its own port."""
        result = self._probe()
        socket_io: dict[str, Any] = {"status": "ok" if result.ok else "down", "port": self.socket_port}
        if result.ok:
            socket_io["answered_in_ms"] = round(result.seconds * 1000, 1)
        else:
            socket_io["error"] = result.error
        told = result.body if result.ok and isinstance(result.body, dict) else {}
        body = {
            "status": "ok" if result.ok else "down",
            "http": {"status": "ok", "port": self.http_port},
            "socket_io": socket_io,
            "clients": told.get("clients"),
            "clients_dropped": told.get("clients_dropped"),
            "pipelines": {p.pipeline_id: _activity(p) for p in self.pipelines()},
            "uptime_seconds": round(time.monotonic() - self._began, 1),
        }
        return Health(ok=result.ok, body=body)

    def _probe(self) -> ProbeResult:
        # Many who ask at once get one answer: a flood on this port is not passed on to the other.
        if not self._probe_lock.acquire(timeout=2 * PROBE_TIMEOUT_SECONDS):
            return ProbeResult(None, None, 2 * PROBE_TIMEOUT_SECONDS, "an earlier question is not answered yet")
        try:
            last = self._last_probe
            if last is None or time.monotonic() - last[0] > PROBE_KEPT_SECONDS:
                result = probe(self.host, self.socket_port, "/health", timeout_seconds=PROBE_TIMEOUT_SECONDS)
                self._last_probe = last = (time.monotonic(), result)
            return last[1]
        finally:
            self._probe_lock.release()

    def _respond(self, request: Request) -> Answer:
        return answer(request, self, self._policy)


def start_status_server(
    port: int | None = None,
    *,
    host: str | None = None,
    socket_port: int | None = None,
    pipelines: Iterable[PipelineStatus] | None = None,
) -> StatusServer:
    """Start HTTP on ``port`` (default ``STATUS_PORT`` or 8003) and Socket.IO on ``socket_port`` (default one above).

    Returns once both accept connections. ``port=0`` picks two free ports. Without ``pipelines`` every PipelineStatus
    of the process is shown, also those made later. Raises ConfigurationError, PortInUseError or ServiceError, each
    with one line that names the setting or the port; nothing stays half started.
    """
    settings = Settings.from_env(http_port=port, socket_port=socket_port, host=host)
    return StatusServer(settings, pipelines=pipelines).start()


def _activity(pipeline: PipelineStatus) -> dict[str, Any]:
    body = pipeline.snapshot()
    return {"status": body.status, "last_activity": iso(body.last_activity)}


_running: weakref.WeakSet[StatusServer] = weakref.WeakSet()


def _stop_all() -> None:
    # The last events of a program that just ends would otherwise not reach anyone.
    for server in list(_running):
        server.stop()


atexit.register(_stop_all)
os.register_at_fork(after_in_child=_running.clear)
