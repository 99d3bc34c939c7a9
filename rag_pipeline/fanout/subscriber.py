"""A subscriber: one client in one namespace, and the outlet through which it is written to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from rag_pipeline.fanout.encoding import Batch


class Outlet(Protocol):
    """The way to one client; used on the hub's thread alone, never waits."""

    @property
    def send(self) -> Callable[[Batch], None]:
        """Sends the packets after everything sent before; over the backlog's bound the client is disconnected."""
        ...

    def disconnect(self, reason: str) -> None:
        """End the connection; the reason is logged once."""
        ...


class Subscriber:
    """One client in one namespace; ``sid`` is unique, ``client`` names the connection it shares with others."""

    __slots__ = ("client", "namespace", "outlet", "sid", "since")

    def __init__(self, sid: str, client: str, namespace: str, outlet: Outlet) -> None:
        self.sid = sid
        self.client = client
        self.namespace = namespace
        self.outlet = outlet
        # Until it has settled: the seq its snapshot showed, by pipeline id and epoch.
        self.since: dict[tuple[str | None, str | None], int] | None = None
