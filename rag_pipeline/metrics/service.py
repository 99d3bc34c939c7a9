"""The metrics of the service itself: its clients, the events it sends them, and its journal."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any, NamedTuple

from prometheus_client.metrics_core import Metric

from rag_pipeline.broadcast.client_stats import ClientStats
from rag_pipeline.broadcast.subscriber import TRANSPORTS
from rag_pipeline.contract.events import NAMESPACES
from rag_pipeline.metrics.families import counter, gauge, info


class ServiceFigures(NamedTuple):
    """The figures of the service.

    ``clients`` is None if the hub's thread did not respond in time; the other counts can be read from any thread.
    ``journal`` is the journal's part of ``/health``.
    """

    version: str
    clients: ClientStats | None
    events_sent: int
    clients_dropped: int
    hub_queued: int
    backlog_limit_bytes: int
    journal: Mapping[str, Any]


def service_families(figures: ServiceFigures) -> list[Metric]:
    """Return the families; unknown values have no samples."""
    return [
        info("build_info", "The versions of the service and of Python.", [_versions(figures.version)]),
        _one(
            "service_up",
            "1, or 0 when the thread that serves the clients does not respond.",
            figures.clients is not None,
        ),
        *_client_families(figures.clients),
        _one("backlog_limit_bytes", "The backlog over which a connection is dropped.", figures.backlog_limit_bytes),
        _one("hub_queued", "Events waiting to be sent to the clients.", figures.hub_queued),
        _total("events_sent_total", "Events sent, counted once for each client.", figures.events_sent),
        _total("clients_dropped_total", "Clients dropped for their backlog.", figures.clients_dropped),
        *_journal_families(figures.journal),
    ]


def _versions(version: str) -> dict[str, str]:
    return {"version": version, "python": platform.python_version()}


def _one(name: str, text: str, value: float | None) -> Metric:
    return gauge(name, text, (), [((), value)])


def _total(name: str, text: str, value: float | None) -> Metric:
    return counter(name, text, (), [((), value)])


def _client_families(stats: ClientStats | None) -> list[Metric]:
    known = [] if stats is None else [stats]
    return [
        gauge(
            "clients",
            "Clients in a namespace; one connection can be in several.",
            ("namespace", "transport"),
            (((ns, t), one.clients.get((ns, t), 0)) for one in known for ns in NAMESPACES for t in TRANSPORTS),
        ),
        gauge(
            "connections",
            "Connections of clients.",
            ("transport",),
            (((t,), one.connections.get(t, 0)) for one in known for t in TRANSPORTS),
        ),
        _one(
            "backlog_bytes",
            "Bytes sent that clients have not taken yet.",
            None if stats is None else stats.backlog_bytes,
        ),
        _one(
            "largest_backlog_bytes",
            "The backlog of the connection that is furthest behind.",
            None if stats is None else stats.largest_backlog_bytes,
        ),
    ]


def _journal_families(journal: Mapping[str, Any]) -> list[Metric]:
    return [
        info("journal_info", "Where the journal is stored: memory, sqlite or redis.", [{"kind": str(journal["kind"])}]),
        _one("journal_degraded", "1 when events may not outlive the process.", journal["status"] != "ok"),
        _one("journal_events", "Events in the journal.", journal.get("events")),
        _one("journal_bytes", "The size of the journal on disk.", journal.get("bytes")),
        _one("journal_queued", "Events waiting to be stored.", journal.get("queued")),
        _total("journal_dropped_total", "Events dropped because too many waited to be stored.", journal.get("dropped")),
    ]
