"""A follower: a subscriber that a thread of its own reads from, instead of a socket that is written to."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

from rag_pipeline.broadcast.encoding import Batch, Packet
from rag_pipeline.common import native

logger = logging.getLogger("rag_pipeline.broadcast")


class FollowerEndedError(Exception):
    """The hub has let go of the follower, or it did not keep up; there is nothing more to come."""


class Follower:
    """An outlet whose packets wait for one thread; over ``limit_bytes`` it is ended, with the reason logged once.

    ``leave`` takes it off the hub, from any thread; ``dropped`` is called ahead of it where it did not keep up.
    """

    transport = "sse"

    def __init__(self, name: str, limit_bytes: int, leave: Callable[[], None], dropped: Callable[[], None]) -> None:
        self._name = name
        self._limit = limit_bytes
        self._leave = leave
        self._dropped = dropped
        self._packets: deque[tuple[Packet, bool]] = deque()  # and whether it counts against the bound
        self._taken_bytes = self._taken_counted = 0
        self._sent_bytes = self._sent_counted = 0
        self._signal = native.AutoResetEvent()
        self._ended = False

    @property
    def backlog_bytes(self) -> int:
        """How much waits; each of the two counts has one thread that changes it."""
        return self._sent_bytes - self._taken_bytes

    def send(self, batch: Batch) -> None:
        """Keep the packets for the reader; on the hub's thread."""
        if self._ended:
            return
        for packet in batch.packets:
            self._packets.append((packet, True))
            self._sent_bytes += len(packet.text)
            self._sent_counted += len(packet.text)
        if self._sent_counted - self._taken_counted > self._limit:
            self._end(f"{self.backlog_bytes} bytes wait for it, over {self._limit}")
            self._packets.clear()
            self._dropped()
            self._leave()
        self._signal.signal()

    def send_paced(self, batch: Batch) -> None:
        """Keep packets that don't count against the bound; on the hub's thread."""
        if not self._ended:
            for packet in batch.packets:
                self._packets.append((packet, False))
                self._sent_bytes += len(packet.text)
            self._signal.signal()

    def disconnect(self, reason: str) -> None:
        """End it; on the hub's thread."""
        self._end(reason)
        self._signal.signal()

    def next(self, timeout_seconds: float) -> list[Packet]:
        """Return what waits, waiting at most so long for the first of it; raises FollowerEndedError at the end."""
        if not self._packets and not self._ended:
            self._signal.wait(timeout_seconds)
        found: list[Packet] = []
        while self._packets:
            try:
                packet, counts = self._packets.popleft()
            except IndexError:  # ended meanwhile
                break
            found.append(packet)
            self._taken_bytes += len(packet.text)
            if counts:
                self._taken_counted += len(packet.text)
        if not found and self._ended:
            raise FollowerEndedError(self._name)
        return found

    def close(self) -> None:
        """Let go of it and wake its reader; idempotent, and never waits; from any thread."""
        self._ended = True
        self._leave()
        self._signal.signal()

    def _end(self, reason: str) -> None:
        if not self._ended:
            self._ended = True
            logger.warning("%s is disconnected: %s", self._name, reason)
