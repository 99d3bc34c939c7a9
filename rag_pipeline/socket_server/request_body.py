"""The body of an HTTP request: its framing, and the chunked transfer coding (RFC 9112, sections 6 and 7.1).

Ambiguous framing is refused, and everything has a bound.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

MAX_LINE_BYTES = 1024
MAX_TRAILER_LINES = 32
_DIGITS = re.compile(r"[0-9]{1,18}")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(;[^\r\n]*)?\r\n")


class BodyError(Exception):
    """The body can't be read; ``status`` is the status of the answer."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


BAD_REQUEST = "400 Bad Request"
TOO_LARGE = "413 Content Too Large"
LENGTH_REQUIRED = "411 Length Required"


def framing_error(version: str, lengths: Sequence[str], codings: Sequence[str]) -> str | None:
    """Return what is wrong with a request's Content-Length and Transfer-Encoding fields, None if nothing is."""
    if codings:
        if lengths:
            return "Content-Length and Transfer-Encoding are not allowed together"
        if version != "HTTP/1.1":
            return "Transfer-Encoding needs HTTP/1.1"
        if [coding.strip().lower() for coding in codings] != ["chunked"]:
            return "the only supported transfer coding is chunked"
    elif len(lengths) > 1 or not all(_DIGITS.fullmatch(length.strip()) for length in lengths):
        return "Content-Length is not one number"
    return None


def too_large(limit: int) -> BodyError:
    """Return the error for a body over the limit."""
    return BodyError(TOO_LARGE, f"the body has more than {limit} bytes")


def read_exactly(read: Callable[[int], bytes], size: int) -> bytes:
    """Return ``size`` bytes; raises BodyError if there are fewer."""
    data = read(size)
    if len(data) != size:
        raise BodyError(BAD_REQUEST, "the body ended early")
    return data


def read_chunked(read: Callable[[int], bytes], readline: Callable[[int], bytes], limit: int) -> bytes:
    """Read a chunked body of at most ``limit`` bytes; trailers are dropped."""
    body = bytearray()
    while size := _chunk_size(readline(MAX_LINE_BYTES)):
        if len(body) + size > limit:
            raise too_large(limit)
        body += read_exactly(read, size)
        if readline(3) != b"\r\n":
            raise BodyError(BAD_REQUEST, "a chunk is longer than its size says")
    for _ in range(MAX_TRAILER_LINES):
        line = readline(MAX_LINE_BYTES)
        if line == b"\r\n":
            return bytes(body)
        if not line.endswith(b"\r\n") or line.count(b"\r") > 1:
            break
    raise BodyError(BAD_REQUEST, "the trailers are invalid or too long")


def _chunk_size(line: bytes) -> int:
    match = _CHUNK_SIZE.fullmatch(line)
    if match is None:
        raise BodyError(BAD_REQUEST, "a chunk does not begin with its size")
    return int(match[1], 16)
