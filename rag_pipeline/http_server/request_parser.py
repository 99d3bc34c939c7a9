"""Parses the head of an HTTP/1.1 request, and rejects what a proxy could read differently."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import NamedTuple, NoReturn, cast

from rag_pipeline.http_server.messages import HttpRequest
from rag_pipeline.http_server.request_head import REQUEST_LINE, HeadStage

MAX_LENGTH_DIGITS = 19
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_TLS_HANDSHAKE = b"\x16"


class RejectedRequestError(Exception):
    """The request can't be parsed; the connection is closed after the response."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class ParsedRequest(NamedTuple):
    """A parsed request; ``closes`` tells that the connection ends after the response."""

    request: HttpRequest
    closes: bool
    version: str


class RequestParser(BaseHTTPRequestHandler):
    """Parses one request head. Only the parsing of the base class is used, not its constructor."""

    protocol_version = "HTTP/1.1"

    def __init__(self, address: Callable[[], str]) -> None:
        self._address = address
        self.command = ""

    def parse(self, head: bytes, stage: HeadStage) -> ParsedRequest:
        """Return the request; raises :class:`RejectedRequestError`."""
        self.close_connection = False
        if b"\r" in head.replace(b"\r\n", b""):  # the base class ends a line there, a proxy may not
            self.send_error(HTTPStatus.BAD_REQUEST, "a carriage return without a line feed")
        self.rfile = cast(io.BufferedReader, io.BytesIO(head))
        self.raw_requestline = self._read_request_line(stage)
        if stage is HeadStage.TOO_SLOW:
            self.send_error(HTTPStatus.REQUEST_TIMEOUT, "the request took too long to arrive")
        if stage is HeadStage.TOO_LONG:
            self.send_error(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the request's headers are too long")
        if stage is HeadStage.CUT:
            self.send_error(HTTPStatus.BAD_REQUEST, "the request ended before its headers did")
        self.parse_request()
        request = HttpRequest(self.command, self.path, self._check_headers(), self._address)
        return ParsedRequest(request, self.close_connection, self.request_version)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> NoReturn:  # noqa: ARG002
        """Reject the request; the base class calls this for every error it finds while parsing."""
        status = HTTPStatus(code)
        raise RejectedRequestError(status, (message or status.phrase)[:200])

    def handle_expect_100(self) -> bool:
        """Send no 100 Continue: a body is never read, so the final response follows at once."""
        return True

    def _read_request_line(self, stage: HeadStage) -> bytes:
        line = self.rfile.readline()
        if line.startswith(_TLS_HANDSHAKE):
            self.send_error(HTTPStatus.BAD_REQUEST, "this port speaks plain HTTP, not TLS")
        if not _HEADER_NAME.match(line[:1].decode("latin-1")):
            self.send_error(HTTPStatus.BAD_REQUEST, "this is not an HTTP request")
        if not REQUEST_LINE.fullmatch(line):
            if stage is HeadStage.TOO_LONG:
                self.send_error(HTTPStatus.REQUEST_URI_TOO_LONG, "the request line is too long")
            if stage is HeadStage.TOO_SLOW:
                self.send_error(HTTPStatus.REQUEST_TIMEOUT, "the request took too long to arrive")
            self.send_error(HTTPStatus.BAD_REQUEST, "the first line is not: method, path, HTTP/1.1")
        return line

    def _check_headers(self) -> Mapping[str, str]:
        """Return the headers by lower-case name, repeated ones joined."""
        headers: dict[str, str] = {}
        for name, value in self.headers.items():
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
                self.send_error(HTTPStatus.BAD_REQUEST, "a header contains characters that are not allowed")
            key = name.lower()
            if key == "host" and key in headers:
                self.send_error(HTTPStatus.BAD_REQUEST, "there is more than one Host header")
            headers[key] = f"{headers[key]}, {value}" if key in headers else value
        if self.headers.defects or self.headers.get_payload():
            self.send_error(HTTPStatus.BAD_REQUEST, "a header line is not: name, colon, value")
        if "host" not in headers and self.request_version != "HTTP/1.0":
            self.send_error(HTTPStatus.BAD_REQUEST, "the Host header is missing")
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit() and len(length) <= MAX_LENGTH_DIGITS):
            self.send_error(HTTPStatus.BAD_REQUEST, "Content-Length is not a whole number")
        coding = headers.get("transfer-encoding")
        if coding is not None and (coding.lower() != "chunked" or "content-length" in headers):
            self.send_error(HTTPStatus.BAD_REQUEST, "the length of the body is ambiguous")
        has_body = length.strip("0") != "" or "transfer-encoding" in headers
        options = {option.strip().lower() for option in headers.get("connection", "").split(",")}
        if has_body or "close" in options:  # a body is not read, so the start of the next request is unknown
            self.close_connection = True
        return headers
