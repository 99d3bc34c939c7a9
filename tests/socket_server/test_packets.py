"""Packets of clients, and their order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.socket_server.packets import ACK, BINARY_EVENT, CONNECT, DISCONNECT, EVENT, PacketError, PacketReader

VALID = [
    ("0", CONNECT),
    ("0/pipeline,", CONNECT),
    ("0/pipeline", CONNECT),
    ('0/pipeline,{"token":"a,b"}', CONNECT),
    ('0{"offset":"x"}', CONNECT),
    ('0/pipeline,"no object"', CONNECT),
    ("1/pipeline,", DISCONNECT),
    ("1", DISCONNECT),
    ('2["hello",{"a":1}]', EVENT),
    ('2/pipeline,12["hello"]', EVENT),
    ("2/pipeline,[5]", EVENT),
    ('3/pipeline,12["hello"]', ACK),
    ("3[]", ACK),
    ('50-["no attachment after all"]', BINARY_EVENT),
]


def joined() -> PacketReader:
    inbound = PacketReader()
    assert inbound.read("0/pipeline,") == CONNECT
    return inbound


@pytest.mark.parametrize(("text", "kind"), VALID)
def test_a_valid_packet_is_read(text: str, kind: int) -> None:
    assert joined().read(text) == kind


@pytest.mark.parametrize("text", ["", "7", "x", "1{}", "2", "2{}", "2[]", "2[null]", '2x["a"]', "3{}", '4{"a":1}'])
def test_an_invalid_packet_is_refused(text: str) -> None:
    with pytest.raises(PacketError):
        joined().read(text)


def test_attachments_follow_their_packet() -> None:
    inbound = joined()
    assert inbound.read('52-/pipeline,["a",{"_placeholder":true,"num":0}]') == BINARY_EVENT
    assert inbound.read(b"one") is None
    assert inbound.read(b"two") is None
    assert inbound.read('2["b"]') == EVENT
    with pytest.raises(PacketError):
        inbound.read(b"three")


def test_text_instead_of_an_attachment_is_refused() -> None:
    inbound = joined()
    inbound.read('51-["a"]')
    with pytest.raises(PacketError):
        inbound.read('2["b"]')


@pytest.mark.parametrize("first", ['2["a"]', "1", "3[]", b"\x83\xa4type", {"type": 0}, None])
def test_the_first_packet_must_be_a_connect(first: object) -> None:
    with pytest.raises(PacketError):
        PacketReader().read(first)


def test_other_packets_are_valid_after_a_disconnect() -> None:
    inbound = joined()
    inbound.read("1/pipeline,")
    assert inbound.read('2/pipeline,["sent before it knew"]') == EVENT


@given(st.text() | st.binary() | st.from_regex(r"\A[0-6]([0-9]{1,3}-)?(/[a-z]{0,3},)?[0-9]{0,3}.{0,9}\Z"))
def test_any_message_is_read_or_refused(message: object) -> None:
    try:
        joined().read(message)
    except PacketError:
        pass
