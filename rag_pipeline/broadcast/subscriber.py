"""A subscriber: one client in one namespace, and the outlet through which it is written to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from rag_pipeline.broadcast.encoding import Batch, Form, channel_of

TRANSPORTS = ("websocket", "polling", "sse")
"""What clients are connected over: the two of Socket.IO, and the event streams of the HTTP server."""


class Outlet(Protocol):
    """The way to one client; used on the hub's thread alone, never waits."""

    @property
    def send(self) -> Callable[[Batch], None]:
        """Sends the packets after everything sent before; over the backlog's bound the client is disconnected."""
        ...

    def send_paced(self, batch: Batch) -> None:
        """Send packets that don't count against the bound: the caller sends more only when these were taken."""
        ...

    @property
    def transport(self) -> str:
        """What it goes over: one of :data:`TRANSPORTS`."""
        ...

    @property
    def backlog_bytes(self) -> int:
        """How much was sent that the client has not taken yet, whether it counts or not."""
        ...

    def disconnect(self, reason: str) -> None:
        """End the connection; the reason is logged once."""
        ...


class Subscriber:
    """One client in one namespace; ``sid`` is unique, ``client`` names the connection it shares with others.

    ``name`` is what the client calls the namespace, :attr:`namespace` the one that this stands for.
    ``offset`` is where a client that was here before wants to go on, None for one that does not ask.
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
        self.greeted = False  # it has been sent states
        self.misses_events = False  # after those states: the next ones have to say so
