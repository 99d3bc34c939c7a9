"""Event follower: a subscriber of the hub whose events one thread reads, for event streams over HTTP."""

from __future__ import annotations

import logging
import secrets
import time
from collections import deque
from collections.abc import Callable

from rag_pipeline.broadcast.encoding import Form, Packet, PacketBatch
from rag_pipeline.broadcast.hub import Hub
from rag_pipeline.broadcast.subscriber import Subscriber
from rag_pipeline.common import native

logger = logging.getLogger("rag_pipeline.broadcast")


class FollowerClosedError(Exception):
    """The follower has no more events: it was closed, it was too slow, its access expired, or the hub has ended."""


class EventFollower:
    """An outlet that queues packets for one reading thread.

    Over ``limit_bytes`` it is closed, and the reason is logged once. ``leave`` removes it from the hub, from any
    thread; ``dropped`` is called first if it was too slow. It ends at the wall-clock time ``expires_at``.
    """

    transport = "sse"

    def __init__(
        self,
        name: str,
        limit_bytes: int,
        *,
        leave: Callable[[], None],
        dropped: Callable[[], None],
        expires_at: float | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._name = name
        self._limit = limit_bytes
        self._leave = leave
        self._dropped = dropped
        self._expires_at = expires_at
        self._clock = clock
        self._packets: deque[tuple[Packet, bool]] = deque()  # with whether it counts against the limit
        self._taken_bytes = self._taken_counted = 0
        self._sent_bytes = self._sent_counted = 0
        self._signal = native.AutoResetEvent()
        self._ended = False

    @property
    def backlog_bytes(self) -> int:
        """Queued bytes; each of the two counters has one thread that changes it."""
        return self._sent_bytes - self._taken_bytes

    def send(self, batch: PacketBatch) -> None:
        """Queue packets for the reader; on the hub's thread."""
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

    def send_paced(self, batch: PacketBatch) -> None:
        """Queue packets that don't count against the limit; on the hub's thread."""
        if not self._ended:
            for packet in batch.packets:
                self._packets.append((packet, False))
                self._sent_bytes += len(packet.text)
            self._signal.signal()

    def disconnect(self, reason: str) -> None:
        """End it after the queued packets; on the hub's thread."""
        self._end(reason)
        self._signal.signal()

    def next(self, timeout_seconds: float) -> list[Packet]:
        """Return the queued packets, after waiting for the first one; raises FollowerClosedError at the end."""
        if self._expires_at is not None:
            left = self._expires_at - self._clock()
            if left <= 0:
                raise FollowerClosedError(f"{self._name}: the token has expired")
            timeout_seconds = min(timeout_seconds, left)
        if not self._packets and not self._ended:
            self._signal.wait(timeout_seconds)
        packets: list[Packet] = []
        while self._packets:
            try:
                packet, counts = self._packets.popleft()
            except IndexError:  # cleared by the hub's thread since the check
                break
            packets.append(packet)
            self._taken_bytes += len(packet.text)
            if counts:
                self._taken_counted += len(packet.text)
        if not packets and self._ended:
            raise FollowerClosedError(self._name)
        return packets

    def close(self) -> None:
        """Leave the hub and wake the reader; idempotent, never waits, from any thread."""
        self._ended = True
        self._leave()
        self._signal.signal()

    def _end(self, reason: str) -> None:
        if not self._ended:
            self._ended = True
            logger.warning("%s is disconnected: %s", self._name, reason)


def follow(
    hub: Hub, namespace: str, since: str | None, limit_bytes: int, expires_at: float | None = None
) -> EventFollower:
    """Return a follower that joins the hub, and resumes from the offset ``since`` if that is possible; any thread."""
    sid = secrets.token_hex(8)
    follower = EventFollower(
        f"event stream {sid}",
        limit_bytes,
        leave=lambda: hub.call(lambda: hub.leave(sid, namespace)),
        dropped=hub.count_dropped,
        expires_at=expires_at,
    )
    subscriber = Subscriber(sid, sid, namespace, follower, form=Form.BARE, offset=since)
    hub.call(lambda: hub.join(subscriber))
    return follower
