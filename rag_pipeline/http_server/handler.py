"""HTTP/1.1: a request from its bytes, the answer as bytes, errors as JSON."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import NamedTuple, NoReturn, cast

from rag_pipeline.http_server.answers import Answer, Request, Streaming, error_answer
from rag_pipeline.http_server.connection import Connection
from rag_pipeline.http_server.content import Stream
from rag_pipeline.http_server.head import REQUEST_LINE, Stage
from rag_pipeline.http_server.streaming import OpenStreams, carry

Respond = Callable[[Request], Answer]

MAX_LENGTH_DIGITS = 19
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_TLS_HANDSHAKE = b"\x16"

logger = logging.getLogger("rag_pipeline.http")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client can cost, and how many there can be.

    ``threads`` answer at once: they get a request when all of it is there, and never wait for a client. ``waiting``
    bounds the clients that are waited for, ``queued`` the requests that no thread is free for, and ``unread_bytes`` the
    answers that clients have not taken. A stream keeps its thread for as long as someone listens, and does not count as
    one of these. Answers take ``cpu_share`` of a core, and ``cpu_burst_seconds`` of its time at once.
    """

    threads: int = 64
    streams: int = 500
    waiting: int = 1_000
    queued: int = 512
    unread_bytes: int = 64 << 20
    cpu_share: float = 0.25
    cpu_burst_seconds: float = 1.0
    requests_per_connection: int = 1_000
    request_bytes: int = 32 * 1024
    request_seconds: float = 10.0
    idle_seconds: float = 15.0
    write_seconds: float = 10.0
    keep_alive_seconds: float = 15.0
    linger_seconds: float = 1.0


class RejectedRequestError(Exception):
    """The request can't be understood; the connection is closed after the answer."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class StreamingAnswer(NamedTuple):
    """A stream that was opened for an answer."""

    stream: Stream
    answer: Answer
    chunked: bool


class Parsed(NamedTuple):
    """A request as it was read; ``closes`` says that the connection ends after the answer."""

    request: Request
    closes: bool
    version: str


class RequestParser(BaseHTTPRequestHandler):
    """Reads the head of one request. Of the base class only the parsing is used; its constructor is not."""

    protocol_version = "HTTP/1.1"

    def __init__(self, address: Callable[[], str]) -> None:
        self._address = address
        self.command = ""

    def parse(self, head: bytes, stage: Stage) -> Parsed:
        """Return the request; raises :class:`RejectedRequestError`."""
        self.close_connection = False
        if b"\r" in head.replace(b"\r\n", b""):  # the base class ends a line there, a proxy may not
            self.send_error(HTTPStatus.BAD_REQUEST, "a carriage return stands without a line feed")
        self.rfile = cast(io.BufferedReader, io.BytesIO(head))
        self.raw_requestline = self._read_request_line(stage)
        if stage is Stage.TOO_SLOW:
            self.send_error(HTTPStatus.REQUEST_TIMEOUT, "the request took too long to arrive")
        if stage is Stage.TOO_LONG:
            self.send_error(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the request's headers are too long")
        if stage is Stage.CUT:
            self.send_error(HTTPStatus.BAD_REQUEST, "the request ended before its headers did")
        self.parse_request()
        request = Request(self.command, self.path, self._check_headers(), self._address)
        return Parsed(request, self.close_connection, self.request_version)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> NoReturn:  # noqa: ARG002
        """Reject the request: what the base class finds wrong while it parses ends up here."""
        status = HTTPStatus(code)
        raise RejectedRequestError(status, (message or status.phrase)[:200])

    def handle_expect_100(self) -> bool:
        """Let the final answer stand for the 100: no body is ever wanted."""
        return True

    def _read_request_line(self, stage: Stage) -> bytes:
        line = self.rfile.readline()
        if line.startswith(_TLS_HANDSHAKE):
            self.send_error(HTTPStatus.BAD_REQUEST, "this port speaks plain HTTP, not TLS")
        if not _HEADER_NAME.match(line[:1].decode("latin-1")):
            self.send_error(HTTPStatus.BAD_REQUEST, "this is not an HTTP request")
        if not REQUEST_LINE.fullmatch(line):
            if stage is Stage.TOO_LONG:
                self.send_error(HTTPStatus.REQUEST_URI_TOO_LONG, "the request line is too long")
            if stage is Stage.TOO_SLOW:
                self.send_error(HTTPStatus.REQUEST_TIMEOUT, "the request took too long to arrive")
            self.send_error(HTTPStatus.BAD_REQUEST, "the first line is not: method, path, HTTP/1.1")
        return line

    def _check_headers(self) -> Mapping[str, str]:
        """Return the headers by lower-case name, repeated ones joined; rejects what a proxy could read otherwise."""
        headers: dict[str, str] = {}
        for name, value in self.headers.items():
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
                self.send_error(HTTPStatus.BAD_REQUEST, "a header has characters that it must not have")
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
        if has_body or "close" in options:  # a body is not read, so the next request could not be found
            self.close_connection = True
        return headers


class Handler:
    """Answers one request at a time for each thread that calls it; ``stopping`` says that connections end now."""

    def __init__(self, respond: Respond, limits: Limits, streams: OpenStreams, stopping: Callable[[], bool]) -> None:
        self._respond = respond
        self._limits = limits
        self._streams = streams
        self._stopping = stopping

    def answer(self, connection: Connection) -> StreamingAnswer | None:
        """Answer the request whose head the connection has; return the stream that it asked for, if it did.

        What the client does not take at once stays in the connection's ``rest``. Raises ``OSError`` if it is gone.
        """
        stage = connection.head.stage or Stage.CUT
        parser = RequestParser(lambda: connection.address)
        connection.requests += 1
        try:
            parsed = parser.parse(connection.head.take(), stage)
            answer, version = self._ask(parsed.request), parsed.version
            connection.closes = parsed.closes
        except RejectedRequestError as error:
            connection.closes = True
            version = ""
            answer = error_answer(error.status, error.message, send_body=parser.command != "HEAD")
        connection.closes |= connection.requests >= self._limits.requests_per_connection or self._stopping()
        if isinstance(answer.body, Streaming):
            stream = self._streams.open(answer.body.open)
            if stream is not None:
                return StreamingAnswer(stream, answer, _knows_chunks(version))
            answer = answer.body.refusal
        connection.begin_sending(render(answer, close=connection.closes))
        return None

    def carry(self, connection: Connection, found: StreamingAnswer) -> None:
        """Send the stream until it or the client ends; raises ``OSError`` if the client is gone."""
        connection.closes = True
        answer = found.answer
        if found.chunked:
            answer = replace(answer, headers={**answer.headers, "Transfer-Encoding": "chunked"})
        try:
            connection.wake_by(found.stream.close)
            connection.send(render(answer, close=True), self._limits.write_seconds)
            carry(
                found.stream,
                connection,
                chunked=found.chunked,
                write_seconds=self._limits.write_seconds,
                keep_alive_seconds=self._limits.keep_alive_seconds,
            )
        finally:
            self._streams.close(found.stream)

    def _ask(self, request: Request) -> Answer:
        try:
            answer = self._respond(request)
        except Exception:
            logger.exception("no answer to %s %s", request.method, _shown(request))
            message = "the service could not answer; its log says why"
            answer = error_answer(HTTPStatus.INTERNAL_SERVER_ERROR, message, send_body=request.method != "HEAD")
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("%s %s %d", request.method, _shown(request), answer.status)
        return answer


def render(answer: Answer, *, close: bool) -> bytes:
    """Return the answer as it goes over the wire; of a stream, what goes before it."""
    headers = {
        "Date": formatdate(usegmt=True),
        "Server": "rag-pipeline",
        "Connection": "close" if close else "keep-alive",
        **answer.headers,
    }
    lines = [f"HTTP/1.1 {answer.status:d} {HTTPStatus(answer.status).phrase}"]
    lines += (f"{name}: {value}" for name, value in headers.items())
    body = answer.body if isinstance(answer.body, bytes) else b""
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def _knows_chunks(version: str) -> bool:
    """Return whether a client of this version (``HTTP/1.1``) reads the chunked transfer coding."""
    return tuple(map(int, version.removeprefix("HTTP/").split("."))) >= (1, 1)


def _shown(request: Request) -> str:
    """Return the path for a log line: no query string, as secrets may stand in it, and nothing unprintable."""
    return ascii(request.target.partition("?")[0][:200])
