"""The open connections of the port: how many are allowed, and which one is closed to make room for another."""

from __future__ import annotations

from collections.abc import Callable

from rag_pipeline.common.descriptors import Share

LARGEST_HEADROOM = 64


class Slot:
    """One connection's slot; ``end`` shuts the connection down.

    ``detached`` is set when a WebSocket has taken the connection over, and frees the slot itself.
    """

    __slots__ = ("detached", "end", "group")

    def __init__(self, end: Callable[[], None]) -> None:
        self.end = end
        self.group: dict[Slot, None] | None = None
        self.detached = False


class Connections:
    """All connections in three groups; lives on the loop's thread.

    *waiting*: for the client, from accept until the request is complete, and between two requests. *answering*: a
    request is being answered, which takes a while for a poll. *websockets*: never closed to make room.

    Over the bound the oldest waiting connection is closed, or else the oldest that is being answered. Some slots are
    not available to WebSockets, so that other requests are answered when there are too many WebSockets.
    """

    def __init__(self, share: Share) -> None:
        self._share = share
        self._waiting: dict[Slot, None] = {}
        self._answering: dict[Slot, None] = {}
        self._websockets: dict[Slot, None] = {}

    def __len__(self) -> int:
        return len(self._waiting) + len(self._answering) + len(self._websockets)

    def admit(self, slot: Slot) -> bool:
        """Add a new connection, if necessary in the place of another; False if there is no room."""
        if not self._share.take() and not (self.end_oldest() and self._share.take()):
            return False
        slot.group = self._waiting
        self._waiting[slot] = None
        return True

    def mark_waiting(self, slot: Slot) -> None:
        """Note that the connection waits for its client."""
        self._move(slot, self._waiting)

    def mark_answering(self, slot: Slot) -> None:
        """Note that the connection's request is complete."""
        self._move(slot, self._answering)

    def mark_websocket(self, slot: Slot) -> bool:
        """Keep the connection open for a WebSocket; False if there are too many of them."""
        most = self._share.most
        if slot.group is None or len(self._websockets) >= most - min(LARGEST_HEADROOM, most // 4):
            return False
        self._move(slot, self._websockets)
        return True

    def end_oldest(self) -> bool:
        """Close the connection that can best be spared; False if there is none."""
        for group in (self._waiting, self._answering):
            for slot in group:
                self.forget(slot)
                slot.end()
                return True
        return False

    def forget(self, slot: Slot) -> None:
        """Free the slot of a closed connection; idempotent."""
        if slot.group is not None:
            del slot.group[slot]
            slot.group = None
            self._share.give_back()

    def _move(self, slot: Slot, group: dict[Slot, None]) -> None:
        if slot.group is not None:  # else it was closed to make room
            del slot.group[slot]
            slot.group = group
            group[slot] = None
