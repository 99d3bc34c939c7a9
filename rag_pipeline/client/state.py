"""ClientState: the pipelines' states and the state of the connection, shared between threads."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from enum import StrEnum

from rag_pipeline.client.state_tracker import Event, StateTracker
from rag_pipeline.client.stream import EventStream
from rag_pipeline.contract.events import Json
from rag_pipeline.errors import ClientClosedError

logger = logging.getLogger("rag_pipeline.client")


class ConnectionState(StrEnum):
    """The state of the connection.

    ``connecting`` until the service has answered once; ``catching-up`` while the client's states may be older than
    the service's; ``refused`` and ``closed`` are final.
    """

    CONNECTING = "connecting"
    LIVE = "live"
    CATCHING_UP = "catching-up"
    RECONNECTING = "reconnecting"
    REFUSED = "refused"
    CLOSED = "closed"

    @property
    def is_final(self) -> bool:
        """Whether the client has given up."""
        return self in (ConnectionState.REFUSED, ConnectionState.CLOSED)


class ClientState:
    """Written by the reconnector's thread, read by any. The pipeline states it returns are shared and never changed."""

    def __init__(self) -> None:
        self.changed = threading.Condition()  # protects all below, and the streams
        self._tracker = StateTracker()
        self._streams: weakref.WeakSet[EventStream] = weakref.WeakSet()  # an abandoned stream is freed
        self._connection = ConnectionState.CONNECTING
        self._error: Exception | None = None
        self._version = 0
        self._warned = False

    # -- for the reconnector ---------------------------------------------------------------------------------------

    def begin(self, namespace: str) -> str | None:
        """Begin a connection to a namespace; return the offset to resume from."""
        with self.changed:
            self._tracker.namespace = namespace
            return self._tracker.begin(time.monotonic())

    def receive(self, name: str, data: Json) -> None:
        """Take in an event and pass it to the streams."""
        with self.changed:
            try:
                is_new = self._tracker.take(name, data, time.monotonic())
            except (KeyError, TypeError, AttributeError, IndexError):
                if not self._warned:
                    self._warned = True
                    logger.warning("a %r event does not follow the protocol and is ignored", name[:100])
                return
            if is_new:
                event = Event(name, data)
                for stream in self._streams:
                    stream.put(event)
                self._notify()

    def tick(self) -> bool:
        """Check deadlines; return whether to reconnect."""
        with self.changed:
            was_live = self._tracker.live
            must_reconnect = self._tracker.tick(time.monotonic())
            if self._tracker.live is not was_live:
                self._notify()
            return must_reconnect

    def set_connection(self, connection: ConnectionState, error: Exception | None = None) -> None:
        """Set the state of the connection and its error. A final state stays, but refused may become closed."""
        with self.changed:
            if self._connection is ConnectionState.CLOSED or (self._connection.is_final and not connection.is_final):
                return
            self._connection, self._error = connection, error
            if connection.is_final:
                for stream in self._streams:
                    stream.end(error)
            self._notify()

    def _notify(self) -> None:
        self._version += 1
        self.changed.notify_all()

    # -- for readers -----------------------------------------------------------------------------------------------

    @property
    def connection(self) -> ConnectionState:
        """The state of the connection."""
        with self.changed:
            if self._connection is ConnectionState.LIVE and not self._tracker.live:
                return ConnectionState.CATCHING_UP
            return self._connection

    @property
    def error(self) -> Exception | None:
        """Why there is no connection; None while there is one."""
        with self.changed:
            return self._error

    @property
    def recovered(self) -> bool | None:
        """Whether the last reconnection missed nothing; None before the first."""
        with self.changed:
            return self._tracker.recovered

    def states(self) -> dict[str, Json]:
        """Return the states by pipeline id, in the order in which they were first seen."""
        with self.changed:
            return dict(self._tracker.states)

    def live_states(self) -> dict[str, Json] | None:
        """Return the states if they are current, else None; raises if the connection has ended for good."""
        with self.changed:
            connection = self.connection
            if connection.is_final:
                raise self._error or ClientClosedError("the client is closed")
            return self.states() if connection is ConnectionState.LIVE else None

    def stream(self, limit: int, timeout_seconds: float | None) -> EventStream:
        """Return a stream of the events from now on."""
        with self.changed:
            stream = EventStream(self.changed, limit, timeout_seconds)
            self._streams.add(stream)
            if self._connection.is_final:
                stream.end(self._error)
            return stream

    @property
    def version(self) -> int:
        """A number that rises with each change."""
        with self.changed:
            return self._version

    def wait(self, version: int, timeout_seconds: float | None) -> int:
        """Wait for a change after ``version``, at most ``timeout_seconds``; return the current version."""
        with self.changed:
            self.changed.wait_for(lambda: self._version != version, timeout_seconds)
            return self._version
