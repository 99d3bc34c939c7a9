"""Health: asks the Socket.IO server, and sends probes through the queues that events pass."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from rag_pipeline.broadcast import HubCall
from rag_pipeline.common import native
from rag_pipeline.common.probe import ProbeResult, probe, reachable
from rag_pipeline.contract.events import iso
from rag_pipeline.http_server.service_view import HealthReport
from rag_pipeline.service.queue_probe import QueueProbe, QueueProgress
from rag_pipeline.service.wiring import Wiring
from rag_pipeline.socket_server import SocketServer
from rag_pipeline.status.core import StatusCore

TIMEOUT_SECONDS = 2.0
REUSE_SECONDS = 0.25
LOCK_SECONDS = 2 * TIMEOUT_SECONDS + 1.0
SEVERITY = ["ok", "degraded", "down"]


class _CheckResult(NamedTuple):
    """JSON members about the Socket.IO server and the journal's queue, and the server's own ``/health``."""

    socket_io: Mapping[str, Any]
    journal: Mapping[str, Any]
    server_health: Mapping[str, Any]


class HealthCheck:
    """Checks all parts when asked; simultaneous requests share one check. Any thread may call it."""

    def __init__(
        self,
        wiring: Wiring,
        sockets: SocketServer,
        pipelines: Callable[[], Iterable[StatusCore]],
        *,
        http_port: int,
        controllable: bool,
    ) -> None:
        self._wiring = wiring
        self._sockets = sockets
        self._pipelines = pipelines
        self._http_port = http_port
        self._controllable = controllable
        self._began = time.monotonic()
        self._lock = native.allocate_lock()  # held by the check that runs
        self._last: tuple[float, _CheckResult] | None = None
        mailbox = wiring.hub.mailbox
        self._hub_probe = QueueProbe(wiring.hub.call, lambda: mailbox.rearmed_at)
        self._writer = writer = wiring.backend.writer
        self._writer_probe: QueueProbe | None = None
        if writer is not None:
            self._writer_probe = QueueProbe(lambda call: writer.publish(HubCall(call)), lambda: writer.progressed_at)

    def report(self) -> HealthReport:
        """Return the body of ``/health``; takes seconds at most."""
        result = self._check_or_reuse()
        socket_io = {**result.socket_io, "port": self._sockets.port}
        journal = {**self._wiring.backend.describe(), **result.journal}
        statuses: list[str] = [socket_io["status"], journal["status"]]
        body = {
            "status": max(statuses, key=SEVERITY.index),
            "http": {"status": "ok", "port": self._http_port},
            "socket_io": socket_io,
            "clients": result.server_health.get("clients"),
            "clients_dropped": result.server_health.get("clients_dropped"),
            "journal": journal,
            "pipelines": self._pipelines_body(),
            "uptime_seconds": round(time.monotonic() - self._began, 1),
        }
        return HealthReport(ok=body["status"] != "down", body=body)

    def _check_or_reuse(self) -> _CheckResult:
        if not self._lock.acquire(timeout=LOCK_SECONDS):
            return _CheckResult({"status": "down", "error": "an earlier check has not finished yet"}, {}, {})
        try:
            if self._last is None or time.monotonic() - self._last[0] > REUSE_SECONDS:
                result = self._check()
                self._last = (time.monotonic(), result)
            return self._last[1]
        finally:
            self._lock.release()

    def _check(self) -> _CheckResult:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        accepted = self._sockets.accepted
        self._hub_probe.begin()
        if self._writer_probe is not None:
            self._writer_probe.begin()
        answer = probe(
            reachable(self._sockets.address),
            self._sockets.port,
            "/health",
            timeout_seconds=TIMEOUT_SECONDS,
            token=self._sockets.probe_token,
        )
        hub = self._hub_probe.result(deadline)
        crowded = answer.status is None and self._sockets.accepted > accepted
        socket_io = _socket_io_body(answer, hub, len(self._wiring.hub.mailbox), crowded=crowded)
        server_health = answer.body if answer.ok and isinstance(answer.body, dict) else {}
        if self._writer is None or self._writer_probe is None:
            return _CheckResult(socket_io, {}, server_health)
        writer = self._writer_probe.result(deadline)
        journal = {"oldest_waiting_seconds": round(writer.oldest_seconds, 3)}
        # The writer's probe passes the hub too, so it says nothing about the writer while the hub is stuck.
        if not hub.stuck or self._writer.ended:
            journal |= _problem("the journal's writer", writer, ended=self._writer.ended)
        return _CheckResult(socket_io, journal, server_health)

    def _pipelines_body(self) -> dict[str, Any]:
        remote = [] if self._wiring.remote_states is None else self._wiring.remote_states.all()
        bodies = {
            state["pipeline_id"]: {"status": state["status"], "last_activity": state["last_activity"]}
            for state in remote
        }
        return {**bodies, **{pipeline.pipeline_id: self._pipeline_body(pipeline) for pipeline in self._pipelines()}}

    def _pipeline_body(self, pipeline: StatusCore) -> dict[str, Any]:
        state = pipeline.snapshot()
        body = {"status": state.status, "last_activity": iso(state.last_activity)}
        control = pipeline.control if self._controllable else None
        return body if control is None else {**body, "actions": sorted(control.actions)}


def _socket_io_body(answer: ProbeResult, hub: QueueProgress, queued: int, *, crowded: bool) -> dict[str, Any]:
    """Return the JSON members about the Socket.IO server.

    ``crowded``: the server accepted others while the check waited. When thousands connect at once, the check waits in
    the accept queue behind them. The clients that are connected are served, so nobody should restart the process.
    """
    body: dict[str, Any] = {"status": "ok"}
    if answer.ok:
        body["answered_in_ms"] = round(answer.seconds * 1000, 1)
    body |= {"queued": queued, "oldest_waiting_seconds": round(hub.oldest_seconds, 3)}
    problem = _problem("the hub", hub)
    if crowded and problem.get("status") != "down":
        return {**body, "status": "degraded", "error": f"{answer.error}: too many clients connect at once"}
    if not answer.ok:
        return {**body, "status": "down", "error": answer.error}
    return {**body, **problem}


def _problem(part: str, progress: QueueProgress, *, ended: bool = False) -> dict[str, Any]:
    """Return the JSON members that say what is wrong with a part; none if it is well."""
    seconds = f"{progress.oldest_seconds:.1f} seconds"
    if ended:
        return {"status": "down", "error": f"{part} has ended"}
    if progress.stuck:
        return {"status": "down", "error": f"{part} has taken nothing for {seconds}"}
    if progress.slow:
        return {"status": "degraded", "error": f"{part} is {seconds} behind"}
    return {}
