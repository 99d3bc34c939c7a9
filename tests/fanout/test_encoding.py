"""Frames and packets, read back by what clients read them with."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_pipeline import events
from rag_pipeline.events import Event, Json
from rag_pipeline.fanout.encoding import Packet, batch, encode, frame, text_frame
from tests.fanout.decoding import event_of, event_of_packet, texts_of


class Body:
    """Any JSON as an event's body."""

    def __init__(self, fields: Json) -> None:
        self.fields = fields

    def to_json(self, at: float) -> Json:
        return self.fields


def event(fields: Json, *namespaces: str) -> Event:
    return Event(events.STATUS, namespaces or ("/pipeline",), "p", None, "e", 1, 0.0, Body(fields))


@pytest.mark.parametrize("size", [0, 1, 124, 125, 126, 127, 65534, 65535, 65536, 65537, 300_000])
def test_a_frame_of_any_size_is_read_back(size: int) -> None:
    assert texts_of(text_frame(b"x" * size)) == ["x" * size]


@pytest.mark.parametrize(("size", "head"), [(125, 2), (126, 4), (65535, 4), (65536, 10)])
def test_the_head_is_the_shortest_that_fits(size: int, head: int) -> None:
    assert len(frame(0x1, b"x" * size)) == head + size
    assert frame(0x8, b"x" * size)[0] == 0x88


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(), JSON, max_size=4), st.sampled_from([1, 2, 3]))
def test_an_event_is_read_back_in_each_of_its_namespaces(fields: dict[str, Any], count: int) -> None:
    namespaces = events.NAMESPACES[:count]
    made = event({"file": fields}, *namespaces)
    packets = encode(made)
    assert tuple(packets) == namespaces
    for namespace, packet in packets.items():
        expected = (namespace, events.STATUS, made.payload())
        assert event_of_packet(packet.text) == expected
        (text,) = texts_of(packet.frame)
        assert event_of(text) == expected
        assert text == "4" + packet.text


@pytest.mark.parametrize("around", [125, 126, 65535, 65536])
@pytest.mark.parametrize("filling", ["x", "é", "😀"])
def test_events_around_the_sizes_where_heads_change(around: int, filling: str) -> None:
    bare = len(encode(event({"f": ""}))["/pipeline"].text.encode()) + 1
    width = len(filling.encode())
    for size in range(max(bare, around - 5), max(bare, around + 6)):
        count, rest = divmod(size - bare, width)
        made = event({"f": filling * count + "." * rest})
        packet = encode(made)["/pipeline"]
        assert len(packet.text.encode()) + 1 == size
        assert event_of(texts_of(packet.frame)[0])[2] == made.payload()


def test_text_that_is_not_ascii_goes_out_as_it_is() -> None:
    packet = encode(event({"name": "Größe 文書 😀 \u2028 \x00"}))["/pipeline"]
    assert "Größe 文書 😀" in packet.text
    assert event_of_packet(packet.text)[2]["name"] == "Größe 文書 😀 \u2028 \x00"


def test_nan_never_goes_out() -> None:
    with pytest.raises(ValueError):
        encode(event({"rate": float("nan")}))


@given(st.lists(st.text(), min_size=1, max_size=8))
def test_a_batch_is_its_packets_in_order(texts: list[str]) -> None:
    packets = [Packet(text, text_frame(b"4" + text.encode())) for text in texts]
    joined = batch(packets)
    assert joined.packets == tuple(packets)
    assert texts_of(joined.wire) == ["4" + text for text in texts]
