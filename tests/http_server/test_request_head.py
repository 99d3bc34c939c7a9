"""The end of a request's head is found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.http_server.request_head import HeadBuffer, HeadStage

PLAIN = b"GET /status HTTP/1.1\r\nHost: a\r\n\r\n"


def fed(*parts: bytes, limit: int = 200) -> HeadBuffer:
    head = HeadBuffer(limit)
    for part in parts:
        head.feed(part)
    return head


def test_a_head_ends_with_an_empty_line_and_the_next_one_follows() -> None:
    head = fed(PLAIN + PLAIN + b"GET /he")
    assert head.stage is HeadStage.WHOLE
    assert head.take() == PLAIN
    assert head.stage is HeadStage.WHOLE
    assert head.take() == PLAIN
    assert head.begun
    head.feed(b"alth HTTP/1.1\n\n")
    assert head.take() == b"GET /health HTTP/1.1\n\n"
    assert not head.begun


@given(st.lists(st.integers(1, 5), min_size=40, max_size=60))
def test_any_split_of_the_bytes_gives_the_same_heads(sizes: list[int]) -> None:
    head = HeadBuffer(200)
    rest = b"\r\n" + PLAIN
    for size in sizes:
        head.feed(rest[:size])
        rest = rest[size:]
    head.feed(rest)
    assert head.stage is HeadStage.WHOLE
    assert head.take() == PLAIN


@pytest.mark.parametrize(
    ("sent", "stage"),
    [
        (b"", None),
        (b"\r", None),
        (b"\r\n\r\n\r\n", None),
        (b"\r\n" * 4, HeadStage.GARBAGE),
        (b"\x16\x03", HeadStage.GARBAGE),
        (b" GET", HeadStage.GARBAGE),
        (b"GET /status\r\n", HeadStage.GARBAGE),
        (b"GET /" + b"x" * 199, HeadStage.TOO_LONG),
        (b"GET / HTTP/1.1\r\nA: " + b"x" * 199, HeadStage.TOO_LONG),
        (b"GET / HTTP/1.1\r\nA: " + b"x" * 199 + b"\r\n\r\n", HeadStage.TOO_LONG),
        (b"GET / HTTP/1.1\r\nA: b\r\n", None),
    ],
)
def test_garbage_is_detected_at_once(sent: bytes, stage: HeadStage | None) -> None:
    assert fed(sent).stage is stage
    assert fed(*(bytes([byte]) for byte in sent)).stage is stage


def test_garbage_is_taken_whole() -> None:
    head = fed(b"\x16\x03\x01")
    assert head.take() == b"\x16\x03\x01"
    assert not head.begun
