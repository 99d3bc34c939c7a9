"""Reads and checks the head of an HTTP request (RFC 9112, sections 2 to 5) before a parser interprets it.

Ambiguous heads are refused: a proxy and this server could understand two different requests, and the proxy would have
checked only one of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from rag_pipeline.socket_server.request_body import BAD_REQUEST, framing_error

MAX_LINE_BYTES = 8192
MAX_HEAD_BYTES = 65_536
MAX_FIELDS = 100
MAX_EMPTY_LINES = 4
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]"
_REQUEST_LINE = re.compile(_TOKEN + rb"{1,64} [\x21-\x7e]+ HTTP/1\.[0-9]\r?\n")
_FIELD = re.compile(rb"(" + _TOKEN + rb"++):[ \t]*+([\t\x20-\x7e\x80-\xff]*+)\r?\n")
_FIRST = re.compile(_TOKEN + rb"|[\r\n]")
_EMPTY = (b"\r\n", b"\n")


class HeadError(Exception):
    """The head can't be read; ``status`` is the status of the answer."""

    def __init__(self, message: str, status: str = BAD_REQUEST) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class RequestHead(NamedTuple):
    """The request line, and the header lines with the empty line that ends them."""

    line: bytes
    fields: bytes


def check_first(byte: bytes) -> None:
    """Raise HeadError if no request can begin with the byte, as in a TLS handshake."""
    if not _FIRST.fullmatch(byte):
        raise HeadError("this is not an HTTP request; the port speaks plain HTTP")


def read_head(readline: Callable[[int], bytes]) -> RequestHead | None:
    """Read a head; None if the connection ended before it began. Raises HeadError."""
    line = _request_line(readline)
    if line is None:
        return None
    values: dict[bytes, list[str]] = {}
    lines: list[bytes] = []
    size = 0
    while (field := readline(MAX_LINE_BYTES)) not in _EMPTY:
        size += len(field)
        if len(field) >= MAX_LINE_BYTES or size > MAX_HEAD_BYTES or len(lines) >= MAX_FIELDS:
            raise HeadError("the request's headers are too long", "431 Request Header Fields Too Large")
        match = _FIELD.fullmatch(field)
        if match is None:
            raise HeadError("a header line is not: name, colon, value" if field else "the request ended early")
        values.setdefault(match[1].lower(), []).append(match[2].decode("latin-1"))
        lines.append(field)
    _check(line, values)
    return RequestHead(line, b"".join([*lines, field]))


def _request_line(readline: Callable[[int], bytes]) -> bytes | None:
    line = b"\r\n"
    for _ in range(MAX_EMPTY_LINES + 1):  # some clients send an empty line after a body
        if line not in _EMPTY:
            break
        line = readline(MAX_LINE_BYTES)
    if not line:
        return None
    if len(line) >= MAX_LINE_BYTES:
        raise HeadError("the request line is too long", "414 URI Too Long")
    if not _REQUEST_LINE.fullmatch(line):
        raise HeadError("the first line is not: method, path, HTTP/1.1")
    return line


def _check(line: bytes, values: dict[bytes, list[str]]) -> None:
    version = line.split()[-1].decode()
    hosts = values.get(b"host", [])
    if len(hosts) > 1 or (not hosts and version != "HTTP/1.0"):
        raise HeadError("there is more than one Host header" if hosts else "the Host header is missing")
    wrong = framing_error(version, values.get(b"content-length", []), values.get(b"transfer-encoding", []))
    if wrong is not None:
        raise HeadError(wrong)
