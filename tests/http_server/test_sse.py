"""Server-Sent Events, byte by byte."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.broadcast import Packet
from rag_pipeline.contract.events import EVENT_NAMES
from rag_pipeline.http_server.sse import SseStream, render
from tests.http_server.support import StubFollower, packet, parse_stream

ANY_TEXT = st.text(st.characters(codec="utf-8"))
PAYLOADS = st.dictionaries(ANY_TEXT, ANY_TEXT | st.integers() | st.lists(ANY_TEXT), max_size=4)
ITEMS = st.builds(
    packet,
    st.from_regex(r"\A[0-9a-z]{8}-[0-9a-f]{1,8}\Z"),
    st.sampled_from(EVENT_NAMES),
    PAYLOADS.map(lambda payload: json.dumps(payload, ensure_ascii=False)),
)


def test_an_event_is_these_bytes() -> None:
    items = [packet("0123abcd-1", "pipeline:status", '{"a":"é"}'), packet("0123abcd-2", "x", "{}")]
    assert (
        render(items)
        == 'id: 0123abcd-1\nevent: pipeline:status\ndata: {"a":"é"}\n\nid: 0123abcd-2\nevent: x\ndata: {}\n\n'.encode()
    )


def test_a_lone_surrogate_does_not_end_the_stream() -> None:
    assert render([packet("o", "x", '"\udcff"')]) == 'id: o\nevent: x\ndata: "\ufffd"\n\n'.encode()


@pytest.mark.slow
@given(st.lists(ITEMS, max_size=5))
def test_a_browser_reads_the_same_events(items: list[Packet]) -> None:
    assert parse_stream((b": keep-alive\nretry: 2000\n" if items else b"") + render(items)) == items


def test_the_first_event_carries_the_reconnection_time() -> None:
    follower = StubFollower()
    stream = SseStream(follower)
    assert stream.read(0.01) == b"", "some readers would take a lone retry line for an event"
    follower.publish(packet("o", "x", "{}"))
    assert stream.read(10) == b"retry: 2000\nid: o\nevent: x\ndata: {}\n\n"
    follower.publish(packet("p", "x", "{}"))
    assert stream.read(10) == b"id: p\nevent: x\ndata: {}\n\n"


def test_every_block_of_a_stream_is_an_event() -> None:
    follower = StubFollower()
    stream = SseStream(follower)
    follower.publish(packet("o", "x", "{}"))
    sent = stream.keep_alive + (stream.read(10) or b"") + stream.keep_alive
    follower.publish(packet("p", "x", "{}"))
    sent += stream.read(10) or b""
    *blocks, rest = sent.split(b"\n\n")
    assert rest == b""
    assert all(b"data: " in block for block in blocks)
    assert [found.offset for found in parse_stream(sent)] == ["o", "p"]


def test_reads_return_events_then_nothing_then_the_end() -> None:
    follower = StubFollower()
    stream = SseStream(follower)
    follower.publish(packet("o", "x", "{}"))
    assert (stream.read(10) or b"").endswith(b"id: o\nevent: x\ndata: {}\n\n")
    assert stream.read(0.01) == b""
    follower.end()
    assert stream.read(10) is None


def test_the_keep_alive_is_a_comment() -> None:
    assert SseStream(StubFollower()).keep_alive == b": keep-alive\n"


def test_closing_the_stream_closes_the_follower() -> None:
    follower = StubFollower()
    SseStream(follower).close()
    assert follower.closed
