"""What the HTTP server is told of the service: states, health, and what is remembered."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rag_pipeline.common import logs
from rag_pipeline.contract.events import iso
from rag_pipeline.http_server.page import Addresses
from rag_pipeline.http_server.service_view import EventPage, Follower, Health, together
from rag_pipeline.journal import FileQuery, FileRow
from rag_pipeline.journal.backend import Keeper
from rag_pipeline.metrics import Metrics
from rag_pipeline.service.checks import Checks
from rag_pipeline.service.recall import Recall
from rag_pipeline.socket_server import SocketServer
from rag_pipeline.status import StatusCore
from rag_pipeline.status.control import Action, ControlError

if TYPE_CHECKING:
    from rag_pipeline.journal.redis.backend import RedisKeeper

SEVERITY = ["ok", "degraded", "down"]

logger = logging.getLogger("rag_pipeline.control")


class Shown:
    """The :class:`~rag_pipeline.http_server.service_view.Source` of the service; any thread may call it."""

    def __init__(
        self,
        http_port: int,
        sockets: SocketServer,
        keeper: Keeper | RedisKeeper,
        pipelines: Callable[[], Iterable[StatusCore]],
        recall: Recall,
        *,
        version: str,
        controllable: bool = False,
    ) -> None:
        self.controllable = controllable
        self._sockets = sockets
        self._keeper = keeper
        self._pipelines = pipelines
        self._recall = recall
        self._began = time.monotonic()
        self._checks = Checks(sockets)
        self.addresses = Addresses(http_port, sockets.port)
        self._metrics = Metrics(pipelines, self._elsewhere, sockets, keeper, version=version)

    def states(self) -> Sequence[Mapping[str, object]]:
        """Return the state of each pipeline, the default one's first, those of other processes last."""
        here = [p.get() for p in self._pipelines()]
        known = {state["pipeline_id"] for state in here}
        return [*here, *(state for state in self._elsewhere() if state["pipeline_id"] not in known)]

    def status(self) -> Mapping[str, object]:
        """Return the default pipeline's state, with ``pipelines`` (states by id) when there are several."""
        return together(self.states())

    def pipeline(self, pipeline_id: str) -> Mapping[str, object] | None:
        """Return the state of one pipeline; None if there is no such id."""
        here = self._here(pipeline_id)
        return (
            here.get()
            if here is not None
            else next((s for s in self._elsewhere() if s["pipeline_id"] == pipeline_id), None)
        )

    def control(self, pipeline_id: str, action: Action, file_id: str | None, count: int | None = None) -> None:
        """Ask something of a pipeline of this process; raises ControlError if it can't be done now."""
        pipeline = self._here(pipeline_id)
        if pipeline is None:
            raise ControlError(f"{pipeline_id} runs in another process: ask the service that runs beside it")
        if (control := pipeline.control) is None:
            raise ControlError(f"{pipeline_id} is a pipeline that takes no requests")
        control.ask(action, file_id, deletions=count)
        logger.info("%s: asked over HTTP to %s", pipeline_id, action, extra=logs.about(pipeline_id, file_id))

    def _here(self, pipeline_id: str) -> StatusCore | None:
        return next((p for p in self._pipelines() if p.pipeline_id == pipeline_id), None)

    def _elsewhere(self) -> list[dict[str, Any]]:
        """Return the states of pipelines of other processes."""
        views = self._sockets.views
        if views is None:
            return []
        return [state for key in views.ids() if (state := views.state(key)) is not None]

    def metrics(self) -> bytes:
        """Return what Prometheus scrapes, in its text format."""
        return self._metrics.text()

    def events(self, since: str | None, namespace: str, limit: int) -> EventPage:
        """Return events after the offset, or the oldest that are kept."""
        return self._recall.events(since, namespace, limit)

    def files(self, query: FileQuery) -> Sequence[FileRow]:
        """Return the files that fit, the one that changed last first."""
        return self._recall.files(query)

    def has_all_files(self) -> bool:
        """Return whether :meth:`files` knows every file that there was."""
        return self._recall.has_all_files()

    def follow(self, namespace: str, since: str | None) -> Follower:
        """Begin to follow a namespace."""
        return self._recall.follow(namespace, since)

    def position_of(self, offset: str) -> int | None:
        """Return the position that an offset of this journal stands for; None for any other string."""
        return self._recall.position_of(offset)

    def offset_of(self, position: int) -> str:
        """Return the string that clients know a position by."""
        return self._recall.offset_of(position)

    def health(self) -> Health:
        """Return the health of all parts: the servers, and the queues that events pass, are tried out."""
        found = self._checks.result()
        socket_io = {**found.socket_io, "port": self.addresses.socket_port}
        journal = {**self._keeper.describe(), **found.journal}
        states: list[str] = [socket_io["status"], journal["status"]]
        body = {
            "status": max(states, key=SEVERITY.index),
            "http": {"status": "ok", "port": self.addresses.http_port},
            "socket_io": socket_io,
            "clients": found.told.get("clients"),
            "clients_dropped": found.told.get("clients_dropped"),
            "journal": journal,
            "pipelines": self._activities(),
            "uptime_seconds": round(time.monotonic() - self._began, 1),
        }
        return Health(ok=body["status"] != "down", body=body)

    def _activities(self) -> dict[str, Any]:
        elsewhere = {
            s["pipeline_id"]: {"status": s["status"], "last_activity": s["last_activity"]} for s in self._elsewhere()
        }
        return {**elsewhere, **{p.pipeline_id: self._activity(p) for p in self._pipelines()}}

    def _activity(self, pipeline: StatusCore) -> dict[str, Any]:
        body = pipeline.snapshot()
        told = {"status": body.status, "last_activity": iso(body.last_activity)}
        control = pipeline.control if self.controllable else None
        return told if control is None else {**told, "actions": sorted(control.actions)}
