"""The connection that is closed to make room for another."""

from __future__ import annotations

from rag_pipeline.common.descriptors import DescriptorBudget
from rag_pipeline.socket_server.connections import Connections, Slot


class Port:
    """Named connections; ``ended`` lists those that were closed to make room."""

    def __init__(self, limit: int) -> None:
        self.share = DescriptorBudget(lambda: limit).share(0)
        self.connections = Connections(self.share)
        self.ended: list[str] = []

    def slot(self, name: str) -> Slot:
        return Slot(lambda: self.ended.append(name))

    def admit(self, *names: str) -> list[Slot]:
        slots = [self.slot(name) for name in names]
        for slot in slots:
            assert self.connections.admit(slot)
        return slots


def test_over_the_bound_the_oldest_waiting_connection_is_closed() -> None:
    port = Port(3)
    first, _, _ = port.admit("a", "b", "c")
    port.connections.mark_answering(first)
    port.connections.mark_waiting(first)
    port.admit("d", "e")
    assert port.ended == ["b", "c"]
    assert len(port.connections) == port.share.used == 3


def test_a_connection_with_a_request_is_closed_only_if_none_waits() -> None:
    port = Port(2)
    poll, _ = port.admit("poll", "idle")
    port.connections.mark_answering(poll)
    port.admit("c")
    assert port.ended == ["idle"]
    (last,) = port.admit("d")
    port.connections.mark_answering(last)
    port.admit("e")
    assert port.ended == ["idle", "c", "poll"]


def test_websockets_are_never_closed_and_never_take_every_slot() -> None:
    port = Port(8)
    held = port.admit(*"abcdefgh")
    assert [port.connections.mark_websocket(slot) for slot in held] == [True] * 6 + [False] * 2
    port.admit("i", "j")
    assert port.ended == ["g", "h"]


def test_a_connection_is_refused_if_there_is_no_room() -> None:
    port = Port(1)
    (only,) = port.admit("a")
    port.connections.mark_websocket(only)
    assert not port.connections.admit(port.slot("b"))
    port.connections.forget(only)
    assert port.connections.admit(port.slot("b"))


def test_a_connection_closed_to_make_room_frees_its_slot_once() -> None:
    port = Port(1)
    (first,) = port.admit("a")
    port.admit("b")
    port.connections.mark_answering(first)
    assert not port.connections.mark_websocket(first)
    port.connections.forget(first)
    assert len(port.connections) == port.share.used == 1
