"""Clients, connections and backlogs are counted."""

from __future__ import annotations

from rag_pipeline.broadcast import Subscriber
from rag_pipeline.broadcast.client_stats import count_clients
from tests.broadcast.outlets import RecordingOutlet


def subscriber(sid: str, client: str, namespace: str, transport: str, backlog_bytes: int = 0) -> Subscriber:
    outlet = RecordingOutlet()
    outlet.transport, outlet.backlog_bytes = transport, backlog_bytes
    return Subscriber(sid, client, namespace, outlet)


def test_without_clients_every_count_is_zero() -> None:
    stats = count_clients([])
    assert (dict(stats.clients), dict(stats.connections)) == ({}, {})
    assert (stats.backlog_bytes, stats.largest_backlog_bytes) == (0, 0)


def test_clients_are_counted_by_namespace_and_transport_and_backlogs_once_per_connection() -> None:
    stats = count_clients(
        [
            subscriber("1", "one", "/pipeline", "websocket", 100),
            subscriber("2", "one", "/local_files", "websocket", 100),
            subscriber("3", "two", "/pipeline", "polling", 30),
            subscriber("4", "three", "/pipeline", "websocket"),
        ]
    )
    assert dict(stats.clients) == {
        ("/pipeline", "websocket"): 2,
        ("/local_files", "websocket"): 1,
        ("/pipeline", "polling"): 1,
    }
    assert dict(stats.connections) == {"websocket": 2, "polling": 1}
    assert (stats.backlog_bytes, stats.largest_backlog_bytes) == (130, 100)
