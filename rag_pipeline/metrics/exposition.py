"""The metrics of one service, read at each scrape and written in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from rag_pipeline.broadcast import Hub
from rag_pipeline.broadcast.client_stats import ClientStats, count_clients
from rag_pipeline.broadcast.remote_states import RemoteStates
from rag_pipeline.journal.backend import JournalBackend
from rag_pipeline.metrics.coalesced_call import CoalescedCall
from rag_pipeline.metrics.pipelines import figures_from_json, figures_of, pipeline_families
from rag_pipeline.metrics.service import ServiceFigures, service_families
from rag_pipeline.status.core import StatusCore


class Metrics(Collector):
    """The metrics of one service; several threads may scrape at once.

    ``pipelines`` returns those of this process, ``remote_states`` has those of other processes.
    """

    def __init__(
        self,
        pipelines: Callable[[], Iterable[StatusCore]],
        hub: Hub,
        backend: JournalBackend,
        remote_states: RemoteStates | None,
        *,
        version: str,
        backlog_limit_bytes: int,
    ) -> None:
        self._pipelines = pipelines
        self._hub = hub
        self._backend = backend
        self._remote_states = remote_states
        self._version = version
        self._backlog_limit_bytes = backlog_limit_bytes
        self._client_stats: CoalescedCall[ClientStats] = CoalescedCall(
            hub.call, lambda: count_clients(hub.subscribers())
        )
        self._process = ProcessCollector(registry=None)

    def text(self) -> bytes:
        """Return all metrics; a hub that does not respond costs two seconds at most."""
        # A registry for each scrape: its lock may be a green one, on which native threads must not meet.
        registry = CollectorRegistry()
        registry.register(self)
        return generate_latest(registry)

    def collect(self) -> Iterator[Metric]:
        """Yield every metric family with its current values."""
        figures = [figures_of(pipeline) for pipeline in self._pipelines()]
        if (remote := self._remote_states) is not None:
            figures += [figures_from_json(state, remote.outcomes(state["pipeline_id"])) for state in remote.all()]
        yield from pipeline_families(figures)
        yield from service_families(self._service_figures())
        yield from self._process.collect()

    def _service_figures(self) -> ServiceFigures:
        return ServiceFigures(
            self._version,
            self._client_stats.result(),
            self._hub.events_sent,
            self._hub.clients_dropped,
            len(self._hub.mailbox),
            self._backlog_limit_bytes,
            self._backend.describe(),
        )
