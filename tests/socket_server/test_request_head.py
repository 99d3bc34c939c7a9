"""Heads of requests: valid, invalid and ambiguous ones."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.socket_server.request_head import HeadError, RequestHead, check_first, read_head

HOST = b"Host: x\r\n"


def read(data: bytes) -> RequestHead | None:
    return read_head(io.BytesIO(data).readline)


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        (b"GET / HTTP/1.1\r\n", HOST),
        (b"GET / HTTP/1.1\n", b"Host: x\n"),
        (b"GET / HTTP/1.0\r\n", b""),
        (b"POST /socket.io/?EIO=4&t=%20 HTTP/1.1\r\n", HOST + b"Content-Length:5 \r\nX: \xe9\t\r\n"),
        (b"POST / HTTP/1.1\r\n", HOST + b"Transfer-Encoding: Chunked\r\n"),
    ],
)
def test_a_valid_head_is_returned_unchanged(line: bytes, fields: bytes) -> None:
    assert read(b"\r\n" + line + fields + b"\r\nrest") == RequestHead(line, fields + b"\r\n")


AMBIGUOUS = {
    "two lengths": b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n",
    "length and coding": b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "another coding": b"GET / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n",
    "a list of codings": b"GET / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked, identity\r\n\r\n",
    "vertical tab in the coding": b"GET / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: \x0bchunked\r\n\r\n",
    "space before the colon": b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length : 5\r\n\r\n",
    "space before the name": b"GET / HTTP/1.1\r\n" + HOST + b" Content-Length: 5\r\n\r\n",
    "a folded line": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n Content-Length: 5\r\n\r\n",
    "a bare CR in a value": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\rContent-Length: 5\r\n\r\n",
    "a bare CR in the first line": b"GET / HTTP/1.1\rX: a\r\n" + HOST + b"\r\n",
    "a bare CR at the end": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\r\n\r\n",
    "NUL": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\0b\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
    "no colon": b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length\r\n\r\n",
    "no name": b"GET / HTTP/1.1\r\n" + HOST + b": x\r\n\r\n",
    "two spaces": b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n",
    "a space in the path": b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n",
    "a no-break space in the path": b"GET /a\xa0HTTP/1.1 HTTP/1.1\r\n" + HOST + b"\r\n",
    "no version": b"GET /\r\n" + HOST + b"\r\n",
    "another version": b"GET / HTTP/2.0\r\n" + HOST + b"\r\n",
    "a version of two digits": b"GET / HTTP/1.10\r\n" + HOST + b"\r\n",
    "a leading space": b" GET / HTTP/1.1\r\n" + HOST + b"\r\n",
    "ended early": b"GET / HTTP/1.1\r\n" + HOST,
    "many empty lines": b"\r\n" * 9,
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_an_ambiguous_head_is_refused(name: str) -> None:
    with pytest.raises(HeadError) as refused:
        read(AMBIGUOUS[name])
    assert refused.value.status == "400 Bad Request"
    assert '"' not in refused.value.message


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /" + b"x" * 9000, 414),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 9000, 431),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + (b"X: " + b"y" * 8000 + b"\r\n") * 10 + b"\r\n", 431),
    ],
)
def test_a_head_that_is_too_long_is_refused_before_its_end(data: bytes, status: int) -> None:
    with pytest.raises(HeadError) as refused:
        read(data)
    assert refused.value.status.startswith(f"{status} ")


def test_the_end_of_a_connection_before_a_request_is_not_an_error() -> None:
    assert read(b"") is None
    assert read(b"\r\n") is None


@pytest.mark.parametrize("byte", [b"\x16", b"\x00", b"<", b" ", b"\x80"])
def test_a_byte_that_can_not_begin_a_request_is_refused(byte: bytes) -> None:
    with pytest.raises(HeadError):
        check_first(byte)


@given(st.binary(max_size=200))
def test_any_head_is_read_or_refused(data: bytes) -> None:
    try:
        read(b"GET / HTTP/1.1\r\n" + HOST + data + b"\r\n\r\n")
    except HeadError:
        pass
