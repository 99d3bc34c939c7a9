"""Server-Sent Events, byte by byte."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.events import EVENT_NAMES
from rag_pipeline.http_server.event_stream import EventStream, render
from rag_pipeline.http_server.source import Item
from tests.http_server.support import StubFollower, parse_stream

ANY_TEXT = st.text(st.characters(codec="utf-8"))
PAYLOADS = st.dictionaries(ANY_TEXT, ANY_TEXT | st.integers() | st.lists(ANY_TEXT), max_size=4)
ITEMS = st.builds(
    Item,
    st.from_regex(r"\A[0-9a-z]{8}-[0-9a-f]{1,8}\Z"),
    st.sampled_from(EVENT_NAMES),
    PAYLOADS.map(lambda payload: json.dumps(payload, ensure_ascii=False)),
)


def test_an_event_is_these_bytes() -> None:
    items = [Item("0123abcd-1", "pipeline:status", '{"a":"é"}'), Item("0123abcd-2", "x", "{}")]
    assert (
        render(items)
        == 'id: 0123abcd-1\nevent: pipeline:status\ndata: {"a":"é"}\n\nid: 0123abcd-2\nevent: x\ndata: {}\n\n'.encode()
    )


def test_a_lone_surrogate_costs_no_one_the_stream() -> None:
    assert render([Item("o", "x", '"\udcff"')]) == 'id: o\nevent: x\ndata: "\ufffd"\n\n'.encode()


@given(st.lists(ITEMS, max_size=5))
def test_a_browser_reads_what_was_meant(items: list[Item]) -> None:
    assert parse_stream(b"retry: 2000\n\n: keep-alive\n\n" + render(items)) == items


def test_a_stream_begins_with_when_to_come_again() -> None:
    assert EventStream(StubFollower()).read(10) == b"retry: 2000\n\n"


def test_a_stream_gives_what_is_there_then_nothing_then_the_end() -> None:
    follower = StubFollower()
    stream = EventStream(follower)
    stream.read(10)
    follower.publish(Item("o", "x", "{}"))
    assert stream.read(10) == b"id: o\nevent: x\ndata: {}\n\n"
    assert stream.read(0.01) == b""
    follower.end()
    assert stream.read(10) is None


def test_the_keep_alive_is_a_comment() -> None:
    assert EventStream(StubFollower()).keep_alive == b": keep-alive\n\n"
    assert parse_stream(EventStream.keep_alive) == []


def test_closing_lets_go_of_the_follower() -> None:
    follower = StubFollower()
    EventStream(follower).close()
    assert follower.closed
