"""Bodies of requests: valid, invalid and ambiguous ones."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.socket_server.request_body import BodyError, framing_error, read_chunked

LIMIT = 1000


def read(data: bytes, limit: int = LIMIT) -> bytes:
    stream = io.BytesIO(data)
    body = read_chunked(stream.read, stream.readline, limit)
    assert stream.read() == b"the next request"
    return body


def chunked(parts: list[bytes], *, extension: bytes = b"", trailers: bytes = b"") -> bytes:
    chunks = b"".join(b"%x%b\r\n%b\r\n" % (len(part), extension, part) for part in parts if part)
    return chunks + b"0\r\n" + trailers + b"\r\n" + b"the next request"


@given(st.lists(st.binary(max_size=50), max_size=10))
def test_a_chunked_body_is_its_chunks_joined(parts: list[bytes]) -> None:
    assert read(chunked(parts)) == b"".join(parts)


def test_extensions_and_trailers_are_dropped() -> None:
    assert read(chunked([b"ab", b"c"], extension=b" ;x=1", trailers=b"A: 1\r\nB: 2\r\n")) == b"abc"


def test_sizes_may_have_either_case() -> None:
    assert read(b"A\r\n0123456789\r\n0\r\n\r\nthe next request") == b"0123456789"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n",
        b"x\r\nab\r\n0\r\n\r\n",
        b"-2\r\nab\r\n0\r\n\r\n",
        b"+2\r\nab\r\n0\r\n\r\n",
        b"0x2\r\nab\r\n0\r\n\r\n",
        b"1_0\r\nab\r\n0\r\n\r\n",
        b"2",
        b"2\r\na",
        b"2\r\nabc\r\n0\r\n\r\n",
        b"2\nab\r\n0\r\n\r\n",
        b"2\r\nab\n0\r\n\r\n",
        b"2;a\rb\r\nab\r\n0\r\n\r\n",
        b"2\r\nab\r\n0\n\r\n",
        b"2\r\nab\r\n0\r\n\n",
        b"2\r\nab\r\n0\r\nA: 1\n\r\n",
        b"2\r\nab\r\n0\r\nA: 1\rB: 2\r\n\r\n",
        b"2\r\nab\r\n",
        b"2\r\nab\r\n0\r\n",
        b"2\r\nab\r\n0\r\nA: 1",
        b"2;" + b"x" * 5000 + b"\r\nab\r\n0\r\n\r\n",
        b"0\r\n" + b"A: 1\r\n" * 100 + b"\r\n",
        b"0\r\nA: " + b"x" * 5000 + b"\r\n\r\n",
    ],
)
def test_an_invalid_chunked_body_is_refused(data: bytes) -> None:
    stream = io.BytesIO(data)
    with pytest.raises(BodyError) as refused:
        read_chunked(stream.read, stream.readline, LIMIT)
    assert refused.value.status.startswith("400 ")


@pytest.mark.parametrize("data", [b"3e9\r\n", b"ffffffff\r\n", chunked([b"x" * 600, b"x" * 600])])
def test_a_body_over_the_limit_is_refused_before_it_is_read(data: bytes) -> None:
    stream = io.BytesIO(data)
    with pytest.raises(BodyError, match="more than 1000 bytes") as refused:
        read_chunked(stream.read, stream.readline, LIMIT)
    assert refused.value.status.startswith("413 ")


@pytest.mark.parametrize(
    ("version", "lengths", "codings", "good"),
    [
        ("HTTP/1.1", [], [], True),
        ("HTTP/1.1", ["5"], [], True),
        ("HTTP/1.1", ["5", "5"], [], False),
        ("HTTP/1.0", ["5"], [], True),
        ("HTTP/1.1", [], ["chunked"], True),
        ("HTTP/1.1", [], ["Chunked "], True),
        ("HTTP/1.0", [], ["chunked"], False),
        ("HTTP/1.1", ["5"], ["chunked"], False),
        ("HTTP/1.1", ["5", "6"], [], False),
        ("HTTP/1.1", ["5, 5"], [], False),
        ("HTTP/1.1", ["+5"], [], False),
        ("HTTP/1.1", ["-5"], [], False),
        ("HTTP/1.1", ["1_0"], [], False),
        ("HTTP/1.1", ["0x5"], [], False),
        ("HTTP/1.1", [""], [], False),
        ("HTTP/1.1", ["٥"], [], False),
        ("HTTP/1.1", ["9" * 30], [], False),
        ("HTTP/1.1", [], ["gzip, chunked"], False),
        ("HTTP/1.1", [], ["chunked", "chunked"], False),
        ("HTTP/1.1", [], ["identity"], False),
        ("HTTP/1.1", [], ["xchunked"], False),
        ("HTTP/1.1", [], [""], False),
    ],
)
def test_ambiguous_framing_is_an_error(version: str, lengths: list[str], codings: list[str], good: bool) -> None:
    assert (framing_error(version, lengths, codings) is None) is good
