"""Frames and packets are decoded by the libraries that clients use."""

from __future__ import annotations

import json
from typing import Any

import pytest
import socketio.packet
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_pipeline.broadcast.encoding import (
    CHANNELS,
    BroadcastChannel,
    Form,
    Packet,
    batch,
    channel_of,
    frame,
    packet_for,
    text_frame,
    with_offset,
)
from rag_pipeline.contract import events
from rag_pipeline.contract.events import Json, PipelineEvent
from rag_pipeline.journal import encode_payload
from tests.broadcast.decoding import event_of, event_of_packet, texts_of


class Body:
    """Any JSON as an event's body."""

    def __init__(self, fields: Json) -> None:
        self.fields = fields

    def to_json(self, at: float) -> Json:
        return self.fields


def event(fields: Json, *namespaces: str) -> PipelineEvent:
    return PipelineEvent(events.STATUS, namespaces or ("/pipeline",), "p", None, "e", 1, 0.0, Body(fields))


def encode(made: PipelineEvent, form: Form = Form.PLAIN) -> dict[str, Packet]:
    payload = with_offset(encode_payload(made), "o-1")
    return {ns: packet_for(BroadcastChannel(ns, form), made.name, payload, "o-1") for ns in made.namespaces}


def shown(made: PipelineEvent) -> Json:
    return {"offset": "o-1", **made.payload()}


@pytest.mark.parametrize("size", [0, 1, 124, 125, 126, 127, 65534, 65535, 65536, 65537, 300_000])
def test_a_frame_of_any_size_is_decoded(size: int) -> None:
    assert texts_of(text_frame(b"x" * size)) == ["x" * size]


@pytest.mark.parametrize(("size", "head"), [(125, 2), (126, 4), (65535, 4), (65536, 10)])
def test_a_frame_has_the_shortest_possible_head(size: int, head: int) -> None:
    assert len(frame(0x1, b"x" * size)) == head + size
    assert frame(0x8, b"x" * size)[0] == 0x88


@pytest.mark.parametrize("form", list(Form))
def test_each_name_and_form_has_one_channel_of_its_namespace(form: Form) -> None:
    for name in events.NAMESPACE_NAMES:
        channel = channel_of(name, form)
        assert channel is channel_of(name, form)
        assert (channel.name, channel.form) == (name, form)
        assert [ns for ns, channels in CHANNELS.items() if channel in channels] == [channel.namespace]
    assert channel_of("/", form).namespace == "/pipeline"


def test_a_packet_of_the_root_namespace_carries_no_namespace() -> None:
    assert packet_for(BroadcastChannel("/"), "e", "{}", "o").text == '2["e",{}]'
    assert packet_for(BroadcastChannel("/", Form.RESUMABLE), "e", "{}", "o").text == '2["e",{},"o"]'
    assert packet_for(BroadcastChannel("/pipeline"), "e", "{}", "o").text == '2/pipeline,["e",{}]'


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(), JSON, max_size=4), st.sampled_from([1, 2, 3]))
def test_an_event_is_decoded_in_each_of_its_namespaces(fields: dict[str, Any], count: int) -> None:
    namespaces = events.NAMESPACES[:count]
    made = event({"file": fields}, *namespaces)
    packets = encode(made)
    assert tuple(packets) == namespaces
    for namespace, packet in packets.items():
        expected = (namespace, events.STATUS, shown(made))
        assert event_of_packet(packet.text) == expected
        (text,) = texts_of(packet.frame)
        assert event_of(text) == expected
        assert text == "4" + packet.text


@pytest.mark.parametrize("around", [125, 126, 65535, 65536])
@pytest.mark.parametrize("filling", ["x", "é", "😀"])
def test_events_are_decoded_around_the_sizes_where_frame_heads_change(around: int, filling: str) -> None:
    bare = len(encode(event({"f": ""}))["/pipeline"].text.encode()) + 1
    width = len(filling.encode())
    for size in range(max(bare, around - 5), max(bare, around + 6)):
        count, rest = divmod(size - bare, width)
        made = event({"f": filling * count + "." * rest})
        packet = encode(made)["/pipeline"]
        assert len(packet.text.encode()) + 1 == size
        assert event_of(texts_of(packet.frame)[0])[2] == shown(made)


def test_text_beyond_ascii_is_not_escaped() -> None:
    packet = encode(event({"name": "Größe 文書 😀 \u2028 \x00"}))["/pipeline"]
    assert "Größe 文書 😀" in packet.text
    assert event_of_packet(packet.text)[2]["name"] == "Größe 文書 😀 \u2028 \x00"


def test_nan_is_never_sent() -> None:
    with pytest.raises(ValueError):
        encode(event({"rate": float("nan")}))


@given(st.lists(st.text(), min_size=1, max_size=8))
def test_a_batch_is_its_packets_in_order(texts: list[str]) -> None:
    packets = [Packet(text, text_frame(b"4" + text.encode()), "n", "o") for text in texts]
    joined = batch(packets)
    assert joined.packets == tuple(packets)
    assert texts_of(joined.wire) == ["4" + text for text in texts]


def test_the_resumable_form_has_the_offset_as_last_argument() -> None:
    made = event({"f": 1})
    packet = encode(made, Form.RESUMABLE)["/pipeline"]
    assert socketio.packet.Packet(encoded_packet=packet.text).data == [events.STATUS, shown(made), "o-1"]
    assert texts_of(packet.frame) == ["4" + packet.text]


def test_the_bare_form_is_only_the_payload() -> None:
    made = event({"f": 1})
    packet = encode(made, Form.BARE)["/pipeline"]
    assert json.loads(packet.text) == shown(made)
    assert (packet.name, packet.offset, packet.frame) == (events.STATUS, "o-1", b"")


def test_extra_members_follow_the_offset() -> None:
    assert json.loads(with_offset('{"a":1}', "o", '"recovered":true,')) == {"offset": "o", "recovered": True, "a": 1}
