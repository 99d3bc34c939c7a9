"""What the thread that follows a service writes, and any other reads: the picture, and how the connection stands."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from enum import StrEnum

from rag_pipeline.client.following import Event, Following
from rag_pipeline.client.stream import EventStream
from rag_pipeline.contract.events import Json
from rag_pipeline.errors import ClientClosedError

logger = logging.getLogger("rag_pipeline.client")


class Standing(StrEnum):
    """How the connection stands.

    ``connecting`` until the service has answered once; ``catching-up`` while what the client shows may be older than
    what the service does; ``refused`` and ``closed`` are for good.
    """

    CONNECTING = "connecting"
    LIVE = "live"
    CATCHING_UP = "catching-up"
    RECONNECTING = "reconnecting"
    REFUSED = "refused"
    CLOSED = "closed"


OVER = (Standing.REFUSED, Standing.CLOSED)


class Board:
    """Safe for any thread. States that it hands out are shared, and never changed."""

    def __init__(self) -> None:
        self.changed = threading.Condition()  # protects all below, and the streams
        self._following = Following()
        self._streams: weakref.WeakSet[EventStream] = weakref.WeakSet()  # one that nobody reads is let go of
        self._standing = Standing.CONNECTING
        self._error: Exception | None = None
        self._version = 0
        self._warned = False

    # -- for the thread that follows -------------------------------------------------------------------------------

    def begin(self, namespace: str) -> str | None:
        """Begin a connection to a namespace; return the offset to go on from."""
        with self.changed:
            self._following.namespace = namespace
            return self._following.begin(time.monotonic())

    def receive(self, name: str, data: Json) -> None:
        """Take in an event."""
        with self.changed:
            try:
                news = self._following.take(name, data, time.monotonic())
            except (KeyError, TypeError, AttributeError, IndexError):
                if not self._warned:
                    self._warned = True
                    logger.warning("the service sent a %r that is not as its protocol says; it is left out", name[:100])
                return
            if news:
                event = Event(name, data)
                for stream in self._streams:
                    stream.put(event)
                self._note_change()

    def tick(self) -> bool:
        """Notice what did not come in time; return whether to connect anew."""
        with self.changed:
            before = self._following.live
            anew = self._following.tick(time.monotonic())
            if self._following.live is not before:
                self._note_change()
            return anew

    def stand(self, standing: Standing, error: Exception | None = None) -> None:
        """Say how the connection stands, and what is wrong with it; nothing changes once it is over."""
        with self.changed:
            if self._standing is Standing.CLOSED or (self._standing is Standing.REFUSED and standing not in OVER):
                return
            self._standing, self._error = standing, error
            if standing in OVER:
                for stream in self._streams:
                    stream.end(error)
            self._note_change()

    def _note_change(self) -> None:
        self._version += 1
        self.changed.notify_all()

    # -- for readers -----------------------------------------------------------------------------------------------

    @property
    def standing(self) -> Standing:
        """How the connection stands."""
        with self.changed:
            if self._standing is Standing.LIVE and not self._following.live:
                return Standing.CATCHING_UP
            return self._standing

    @property
    def error(self) -> Exception | None:
        """Why there is no connection; None while there is one."""
        with self.changed:
            return self._error

    @property
    def recovered(self) -> bool | None:
        """Whether the last reconnection missed nothing; None before the first."""
        with self.changed:
            return self._following.recovered

    def states(self) -> dict[str, Json]:
        """Return the states by pipeline, those seen first at the front."""
        with self.changed:
            return dict(self._following.states)

    def live_states(self) -> dict[str, Json] | None:
        """Return the states if they are what the service shows now; raises once they can't be any more."""
        with self.changed:
            standing = self.standing
            if standing in OVER:
                raise self._error or ClientClosedError("the client is closed")
            return self.states() if standing is Standing.LIVE else None

    def stream(self, limit: int, timeout_seconds: float | None) -> EventStream:
        """Return a stream of the events from now on."""
        with self.changed:
            stream = EventStream(self.changed, limit, timeout_seconds)
            self._streams.add(stream)
            if self._standing in OVER:
                stream.end(self._error)
            return stream

    @property
    def version(self) -> int:
        """A number that rises with each change."""
        with self.changed:
            return self._version

    def wait(self, version: int, timeout_seconds: float | None) -> int:
        """Wait for a change after that version, at most so long; return the version now."""
        with self.changed:
            self.changed.wait_for(lambda: self._version != version, timeout_seconds)
            return self._version
