"""Which Accept headers select the event stream."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.http_server.accept_header import prefers_stream

WEIGHTS = st.integers(0, 1000)


@pytest.mark.parametrize(
    "accept",
    [
        "text/event-stream",
        "TEXT/Event-Stream",
        " text/event-stream ; charset=utf-8 ",
        "text/event-stream;q=0.001",
        "text/event-stream, */*",
        "text/event-stream, application/json;q=0.9",
        "text/event-stream;q=0.5, application/*;q=0.4, */*;q=0.1",
        "text/*",
        "text/html;q=0, text/event-stream;q=0.2, application/json;q=0",
        "*/*;q=0.5, text/*",
        "text/event-stream;q=0, text/event-stream",
        "nonsense,, ;q=1, text/event-stream",
    ],
)
def test_a_client_that_prefers_a_stream_gets_one(accept: str) -> None:
    assert prefers_stream(accept)


@pytest.mark.parametrize(
    "accept",
    [
        None,
        "",
        "*/*",
        "application/json",
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8",
        "application/json, text/event-stream",
        "text/event-stream;q=0",
        "text/event-stream;q=0, */*",
        "text/event-stream;q=0.0, text/*",
        "text/event-stream;q=0.5, application/json;q=0.6",
        "text/event-stream;q=0.5, */*;q=0.6",
        "text/event-stream;q=2",
        "text/event-stream;q=-1",
        "text/event-stream;q=nan",
        "text/event-stream;q=1e0",
        "text/event-stream;q=",
        "text/event-streams",
        "xtext/event-stream",
    ],
)
def test_other_clients_get_json(accept: str | None) -> None:
    assert not prefers_stream(accept)


@given(WEIGHTS, WEIGHTS, st.booleans(), st.sampled_from(["", " ", "\t"]))
def test_the_weights_decide(stream: int, json: int, turned: bool, space: str) -> None:
    ranges = [f"text/event-stream;{space}q={stream / 1000:.3f}", f"application/json;{space}Q={json / 1000:.3f}"]
    assert prefers_stream(f"{space},{space}".join(reversed(ranges) if turned else ranges)) == (stream > json)


@given(st.text(st.sampled_from("text/event-stream application/json*;q=0.19,\"'\\")) | st.text())
def test_any_header_is_accepted(accept: str) -> None:
    assert prefers_stream(accept) in (True, False)
