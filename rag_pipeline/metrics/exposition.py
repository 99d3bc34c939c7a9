"""One scrape: everything is read when it is asked for, and written in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from rag_pipeline.broadcast.client_stats import Census, take_census
from rag_pipeline.journal.backend import Keeper
from rag_pipeline.metrics import service
from rag_pipeline.metrics.coalesced_call import Question
from rag_pipeline.metrics.pipelines import figures_from, figures_of, pipeline_families
from rag_pipeline.socket_server import SocketServer
from rag_pipeline.status import StatusCore

if TYPE_CHECKING:
    from rag_pipeline.journal.redis.backend import RedisKeeper


class Metrics(Collector):
    """The metrics of one service; any thread may scrape, and several at once.

    ``pipelines`` returns those of this process, ``elsewhere`` the states of those of others.
    """

    def __init__(
        self,
        pipelines: Callable[[], Iterable[StatusCore]],
        elsewhere: Callable[[], Iterable[Mapping[str, Any]]],
        sockets: SocketServer,
        keeper: Keeper | RedisKeeper,
        *,
        version: str,
    ) -> None:
        self._pipelines = pipelines
        self._elsewhere = elsewhere
        self._sockets = sockets
        self._keeper = keeper
        self._version = version
        hub = sockets.hub
        self._census: Question[Census] = Question(hub.call, lambda: take_census(hub.subscribers()))
        self._process = ProcessCollector(registry=None)

    def text(self) -> bytes:
        """Return all metrics; a hub that does not answer costs two seconds at most."""
        # A registry for each scrape: its lock may be a green one, on which native threads must not meet.
        registry = CollectorRegistry()
        registry.register(self)
        return generate_latest(registry)

    def collect(self) -> Iterator[Metric]:
        """Yield every family, as it stands."""
        here = [figures_of(pipeline) for pipeline in self._pipelines()]
        views = self._sockets.views
        if views is not None:
            here += [figures_from(state, views.ended(state["pipeline_id"])) for state in self._elsewhere()]
        yield from pipeline_families(here)
        yield from service.service_families(self._figures())
        yield from self._process.collect()

    def _figures(self) -> service.Figures:
        hub = self._sockets.hub
        return service.Figures(
            self._version,
            self._census.ask(),
            hub.events_sent,
            hub.clients_dropped,
            len(self._sockets.handover),
            self._sockets.backlog_limit_bytes,
            self._keeper.describe(),
        )
