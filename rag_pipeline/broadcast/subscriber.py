"""A subscriber: one client in one namespace, and the outlet that writes to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from rag_pipeline.broadcast.encoding import Form, PacketBatch, channel_of

TRANSPORTS = ("websocket", "polling", "sse")
"""The transports of clients: two of Socket.IO, and the event streams of the HTTP server."""


class Outlet(Protocol):
    """Writes to one client. Only the hub's thread uses it, and no call waits."""

    @property
    def send(self) -> Callable[[PacketBatch], None]:
        """Queue the packets; disconnect the client if its backlog is over the limit."""
        ...

    def send_paced(self, batch: PacketBatch) -> None:
        """Queue packets that don't count against the limit: the caller sends more only once these were taken."""
        ...

    @property
    def transport(self) -> str:
        """One of :data:`TRANSPORTS`."""
        ...

    @property
    def backlog_bytes(self) -> int:
        """Queued bytes that the client has not taken yet, whether they count or not."""
        ...

    def disconnect(self, reason: str) -> None:
        """End the connection; the reason is logged once."""
        ...


class Subscriber:
    """One client in one namespace; ``sid`` is unique, ``client`` names the connection it shares with others.

    ``name`` may be an alias of :attr:`namespace`. ``offset`` is where a returning client wants to resume, or None.
    """

    __slots__ = (
        "channel", "client", "greeted", "misses_events", "namespace", "offset", "outlet", "recovered", "sid",
    )  # fmt: skip

    def __init__(
        self,
        sid: str,
        client: str,
        name: str,
        outlet: Outlet,
        *,
        form: Form = Form.PLAIN,
        offset: str | None = None,
    ) -> None:
        self.sid = sid
        self.client = client
        self.channel = channel_of(name, form)
        self.namespace = self.channel.namespace
        self.outlet = outlet
        self.offset = offset
        self.recovered: bool | None = None if offset is None else False
        self.greeted = False  # it was sent the states
        self.misses_events = False  # since those states: the next states must be marked with a gap
