"""The metrics of the service itself: its clients, what it sends them, and its journal."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any, NamedTuple

from prometheus_client.metrics_core import Metric

from rag_pipeline.broadcast.client_stats import Census
from rag_pipeline.broadcast.subscriber import TRANSPORTS
from rag_pipeline.contract.events import NAMESPACES
from rag_pipeline.metrics.families import counter, gauge, info


class Figures(NamedTuple):
    """What is told of the service.

    ``census`` is None when the hub's thread did not answer in time; the numbers beside it are counts that any thread
    can read. ``journal`` is what ``/health`` says of it.
    """

    version: str
    census: Census | None
    events_sent: int
    clients_dropped: int
    hub_queued: int
    backlog_limit_bytes: int
    journal: Mapping[str, Any]


def service_families(figures: Figures) -> list[Metric]:
    """Return the families; what is not known has no samples."""
    return [
        info("build_info", "The version of the service, and of Python.", [_versions(figures.version)]),
        _one(
            "service_up", "1, or 0 when the thread that serves the clients does not answer.", figures.census is not None
        ),
        *_client_families(figures.census),
        _one("backlog_limit_bytes", "The bound over which a connection is dropped.", figures.backlog_limit_bytes),
        _one("hub_queued", "Events that wait to be sent to the clients.", figures.hub_queued),
        _total("events_sent_total", "Events sent, each counted once for each client it went to.", figures.events_sent),
        _total("clients_dropped_total", "Clients dropped since too much waited for them.", figures.clients_dropped),
        *_journal_families(figures.journal),
    ]


def _versions(version: str) -> dict[str, str]:
    return {"version": version, "python": platform.python_version()}


def _one(name: str, text: str, value: float | None) -> Metric:
    return gauge(name, text, (), [((), value)])


def _total(name: str, text: str, value: float | None) -> Metric:
    return counter(name, text, (), [((), value)])


def _client_families(census: Census | None) -> list[Metric]:
    pairs = [] if census is None else [(namespace, transport) for namespace in NAMESPACES for transport in TRANSPORTS]
    return [
        gauge(
            "clients",
            "Clients in a namespace; one connection can be in several.",
            ("namespace", "transport"),
            ((pair, None if census is None else census.clients.get(pair, 0)) for pair in pairs),
        ),
        gauge(
            "connections",
            "Connections of clients.",
            ("transport",),
            (((t,), None if census is None else census.connections.get(t, 0)) for t in TRANSPORTS),
        ),
        _one(
            "backlog_bytes",
            "What was sent that clients have not taken yet.",
            None if census is None else census.backlog_bytes,
        ),
        _one(
            "largest_backlog_bytes",
            "The same, of the one connection that is furthest behind.",
            None if census is None else census.largest_backlog_bytes,
        ),
    ]


def _journal_families(journal: Mapping[str, Any]) -> list[Metric]:
    return [
        info("journal_info", "What keeps the journal: memory, sqlite or redis.", [{"kind": str(journal["kind"])}]),
        _one("journal_degraded", "1 when events may not outlive the process.", journal["status"] != "ok"),
        _one("journal_events", "Events that are kept.", journal.get("events")),
        _one("journal_bytes", "The size of the journal on disk.", journal.get("bytes")),
        _one("journal_queued", "Events that wait to be kept.", journal.get("queued")),
        _total("journal_dropped_total", "Events dropped since too many waited to be kept.", journal.get("dropped")),
    ]
