"""The open connections of the port: how many there may be, and which is closed to make room for the next one."""

from __future__ import annotations

from collections.abc import Callable

from rag_pipeline.common.descriptors import Share

LARGEST_HEADROOM = 64


class Slot:
    """One connection's place; ``end`` makes whoever waits on the connection see its end.

    ``kept`` says that somebody else gives the slot back: the WebSocket that took the connection over.
    """

    __slots__ = ("end", "group", "kept")

    def __init__(self, end: Callable[[], None]) -> None:
        self.end = end
        self.group: dict[Slot, None] | None = None
        self.kept = False


class Connections:
    """All connections, in three groups; lives on the loop's thread.

    *waiting*: the client has to send, from the moment it is accepted until the request is whole, and between two
    requests. *answering*: a request is being answered, which for a poll may take a while. *held*: a WebSocket.
    Over the bound the oldest waiting connection is closed, or else the oldest that is being answered. A WebSocket never
    is; some room is left beside them, so that other requests are answered also when no further WebSocket can be had.
    """

    def __init__(self, share: Share) -> None:
        self._share = share
        self._waiting: dict[Slot, None] = {}
        self._answering: dict[Slot, None] = {}
        self._held: dict[Slot, None] = {}

    def __len__(self) -> int:
        return len(self._waiting) + len(self._answering) + len(self._held)

    def admit(self, slot: Slot) -> bool:
        """Take a new connection, if need be in the place of another; False if there is no room."""
        if not self._share.take() and not (self.end_oldest() and self._share.take()):
            return False
        slot.group = self._waiting
        self._waiting[slot] = None
        return True

    def wait(self, slot: Slot) -> None:
        """The connection waits for its client from now on."""
        self._move(slot, self._waiting)

    def answer(self, slot: Slot) -> None:
        """The connection's request is whole."""
        self._move(slot, self._answering)

    def hold(self, slot: Slot) -> bool:
        """Keep the connection open for a WebSocket; False if there are too many of them."""
        most = self._share.most
        if slot.group is None or len(self._held) >= most - min(LARGEST_HEADROOM, most // 4):
            return False
        self._move(slot, self._held)
        return True

    def end_oldest(self) -> bool:
        """Close a connection that holds nothing back, to have its descriptor; False if there is none."""
        for group in (self._waiting, self._answering):
            for slot in group:
                self.forget(slot)
                slot.end()
                return True
        return False

    def forget(self, slot: Slot) -> None:
        """The connection is closed; idempotent."""
        if slot.group is not None:
            del slot.group[slot]
            slot.group = None
            self._share.give_back()

    def _move(self, slot: Slot, group: dict[Slot, None]) -> None:
        if slot.group is not None:  # else it was closed to make room
            del slot.group[slot]
            slot.group = group
            group[slot] = None
