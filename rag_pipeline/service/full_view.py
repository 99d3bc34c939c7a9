"""The service as the HTTP server sees it: all pipelines, of this process and of others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from rag_pipeline.broadcast.follower import EventFollower, follow
from rag_pipeline.common import logs
from rag_pipeline.common.document_search import DocumentQuery, DocumentSearch
from rag_pipeline.errors import SearchUnavailableError
from rag_pipeline.http_server.page import Addresses
from rag_pipeline.http_server.service_view import HealthReport, JournalPage
from rag_pipeline.journal import FileMatch, FileQuery, Generations
from rag_pipeline.journal.search_gate import SearchGate
from rag_pipeline.metrics import Metrics
from rag_pipeline.service.bounded_search import BoundedSearch
from rag_pipeline.service.health import HealthCheck
from rag_pipeline.service.journal_page import read_page
from rag_pipeline.service.wiring import Wiring
from rag_pipeline.socket_server import SocketServer
from rag_pipeline.status.control import Action, ControlError
from rag_pipeline.status.core import StatusCore

logger = logging.getLogger("rag_pipeline.control")


class FullView:
    """The :class:`~rag_pipeline.http_server.service_view.ServiceView` of everything; any thread may call it.

    ``pipelines`` returns the pipelines of this process.
    """

    def __init__(
        self,
        wiring: Wiring,
        sockets: SocketServer,
        pipelines: Callable[[], Iterable[StatusCore]],
        *,
        http_port: int,
        version: str,
        controllable: bool,
        documents: DocumentSearch | None = None,
        search_refusal: str | None = None,
    ) -> None:
        self.search_refusal = search_refusal
        self._documents = None if documents is None else BoundedSearch(documents)
        self.controllable = controllable
        self.addresses = Addresses(http_port, sockets.port)
        self._wiring = wiring
        self._backend = wiring.backend
        self._pipelines = pipelines
        self._searches = SearchGate()
        self._health = HealthCheck(wiring, sockets, pipelines, http_port=http_port, controllable=controllable)
        self._metrics = Metrics(
            pipelines,
            wiring.hub,
            wiring.backend,
            wiring.remote_states,
            version=version,
            backlog_limit_bytes=wiring.backlog_limit_bytes,
        )

    @property
    def generations(self) -> Generations:
        """The journal's current generations."""
        return self._backend.tail.generations

    def states(self) -> Sequence[Mapping[str, object]]:
        """Return the state of each pipeline: the default one first, those of other processes last."""
        here = [pipeline.get() for pipeline in self._pipelines()]
        if self._wiring.remote_states is None:
            return here
        known = {state["pipeline_id"] for state in here}
        return [*here, *(state for state in self._wiring.remote_states.all() if state["pipeline_id"] not in known)]

    def pipeline(self, pipeline_id: str) -> Mapping[str, object] | None:
        """Return the state of one pipeline; None for an unknown id."""
        if (pipeline := self._find(pipeline_id)) is not None:
            return pipeline.get()
        return None if self._wiring.remote_states is None else self._wiring.remote_states.state(pipeline_id)

    def control(self, pipeline_id: str, action: Action, file_id: str | None, count: int | None = None) -> None:
        """Send a control request to a pipeline of this process; raises ControlError if it can't be done now."""
        pipeline = self._find(pipeline_id)
        if pipeline is None:
            raise ControlError(f"{pipeline_id} runs in another process: ask the service that runs beside it")
        if (control := pipeline.control) is None:
            raise ControlError(f"{pipeline_id} is a pipeline that takes no requests")
        control.ask(action, file_id, deletions=count)
        logger.info("%s: asked over HTTP to %s", pipeline_id, action, extra=logs.about(pipeline_id, file_id))

    def _find(self, pipeline_id: str) -> StatusCore | None:
        return next((p for p in self._pipelines() if p.pipeline_id == pipeline_id), None)

    def health(self) -> HealthReport:
        """Return the health of all parts, checked within seconds."""
        return self._health.report()

    def metrics(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        return self._metrics.text()

    def events(self, since: str | None, namespace: str, limit: int) -> JournalPage:
        """Return events after the offset, or the oldest ones in the journal."""
        return read_page(self._backend, since, namespace, limit)

    def follow(self, namespace: str, since: str | None, *, until: float | None = None) -> EventFollower:
        """Follow a namespace, as one more client of the hub."""
        return follow(self._wiring.hub, namespace, since, self._wiring.backlog_limit_bytes, expires_at=until)

    def files(self, query: FileQuery) -> Sequence[FileMatch]:
        """Return the files that match, most recently changed first; raises JournalBusyError if too many search."""
        with self._searches.enter():
            return self._backend.files(query)

    @property
    def searchable_pipelines(self) -> frozenset[str] | None:
        """None for all: also those that are not shown may have stored documents."""
        return None

    def search(self, query: DocumentQuery) -> Sequence[Mapping[str, object]]:
        """Return the stored texts that answer a question, best first."""
        if self._documents is None:
            raise SearchUnavailableError("this service has no stored documents")
        return self._documents.search(query)

    def has_all_files(self) -> bool:
        """Return whether the journal knows every file that there was."""
        return self._backend.has_all_files()
