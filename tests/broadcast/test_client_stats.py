"""Counting who is connected."""

from __future__ import annotations

from rag_pipeline.broadcast import Subscriber
from rag_pipeline.broadcast.client_stats import take_census
from tests.broadcast.outlets import RecordingOutlet


def subscriber(sid: str, client: str, namespace: str, transport: str, backlog_bytes: int = 0) -> Subscriber:
    outlet = RecordingOutlet()
    outlet.transport, outlet.backlog_bytes = transport, backlog_bytes
    return Subscriber(sid, client, namespace, outlet)


def test_nobody_is_counted_as_nothing() -> None:
    census = take_census([])
    assert (dict(census.clients), dict(census.connections)) == ({}, {})
    assert (census.backlog_bytes, census.largest_backlog_bytes) == (0, 0)


def test_clients_are_counted_by_namespace_and_transport_and_what_waits_once_for_each_connection() -> None:
    census = take_census(
        [
            subscriber("1", "one", "/pipeline", "websocket", 100),
            subscriber("2", "one", "/local_files", "websocket", 100),
            subscriber("3", "two", "/pipeline", "polling", 30),
            subscriber("4", "three", "/pipeline", "websocket"),
        ]
    )
    assert dict(census.clients) == {
        ("/pipeline", "websocket"): 2,
        ("/local_files", "websocket"): 1,
        ("/pipeline", "polling"): 1,
    }
    assert dict(census.connections) == {"websocket": 2, "polling": 1}
    assert (census.backlog_bytes, census.largest_backlog_bytes) == (130, 100)
