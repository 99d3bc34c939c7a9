"""The census: who is connected, over what, and how much waits for them. Taken on the hub's thread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from rag_pipeline.broadcast.subscriber import Outlet, Subscriber


class Census(NamedTuple):
    """``clients`` counts subscriptions by namespace and transport, ``connections`` what they share, by transport.

    ``largest_backlog_bytes`` is that of the one connection which is furthest behind.
    """

    clients: Mapping[tuple[str, str], int]
    connections: Mapping[str, int]
    backlog_bytes: int
    largest_backlog_bytes: int


def take_census(subscribers: Iterable[Subscriber]) -> Census:
    """Count them; a millisecond for two thousand."""
    clients: Counter[tuple[str, str]] = Counter()
    outlets: dict[str, Outlet] = {}
    for subscriber in subscribers:
        clients[subscriber.namespace, subscriber.outlet.transport] += 1
        outlets[subscriber.client] = subscriber.outlet
    backlogs = [outlet.backlog_bytes for outlet in outlets.values()]
    connections = Counter(outlet.transport for outlet in outlets.values())
    return Census(clients, connections, sum(backlogs), max(backlogs, default=0))
