"""Carrying HTTP/1.1 over one connection: requests in, answers out, errors as JSON."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from email.utils import formatdate
from http import HTTPStatus
from http.client import LineTooLong
from http.server import BaseHTTPRequestHandler
from typing import NoReturn

from rag_pipeline.http_server.answers import Answer, Request, Streaming, error_answer
from rag_pipeline.http_server.connection import Connection
from rag_pipeline.http_server.content import Stream
from rag_pipeline.http_server.streaming import OpenStreams, carry

Respond = Callable[[Request], Answer]

_REQUEST_LINE = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64} [\x21-\x7e\x80-\xff]+ HTTP/[0-9]{1,3}\.[0-9]{1,3}\r?\n")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_TLS_HANDSHAKE = b"\x16"
_EMPTY_LINES = 4

logger = logging.getLogger("rag_pipeline.http")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client can cost, and how many there can be.

    ``connections`` are answered at once, which is plenty for answers that take a millisecond, of clients that give way
    when they dawdle. A stream keeps its thread for as long as someone listens, and does not count as one of these.
    """

    connections: int = 64
    streams: int = 500
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


class RequestHandler(BaseHTTPRequestHandler):
    """Serves the requests of one connection, one after the other, in the calling thread; ``streaming`` is called when
    one of them turns into a stream.

    The base class parses; its constructor, which runs the whole exchange over a ``socket.socket``, is not used.
    """

    protocol_version = "HTTP/1.1"
    rfile: io.BufferedReader

    def __init__(
        self,
        connection: Connection,
        respond: Respond,
        limits: Limits,
        streams: OpenStreams,
        streaming: Callable[[], None] = lambda: None,
    ) -> None:
        self._connection = connection
        self._respond = respond
        self._limits = limits
        self._streams = streams
        self._streaming = streaming
        self.rfile = io.BufferedReader(connection.reader)
        self.close_connection = False
        self.command = ""

    def serve(self, stopping: Callable[[], bool]) -> None:
        """Answer until the client ends, errs or stalls, or until ``stopping``; raises ``OSError`` if it is gone."""
        for left in reversed(range(self._limits.requests_per_connection)):
            try:
                request = self._read()
                if request is None:
                    return
                answer = self._answer(request)
            except RejectedRequestError as error:
                self.close_connection = True
                answer = error_answer(error.status, error.message, send_body=self.command != "HEAD")
            if left == 0 or stopping():
                self.close_connection = True
            self._send(answer)
            if self.close_connection:
                break
        self._connection.linger(self._limits.linger_seconds)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> NoReturn:  # noqa: ARG002
        """Reject the request: what the base class finds wrong while it parses ends up here."""
        status = HTTPStatus(code)
        raise RejectedRequestError(status, (message or status.phrase)[:200])

    def handle_expect_100(self) -> bool:
        """Let the final answer stand for the 100: no body is ever wanted."""
        return True

    def _read(self) -> Request | None:
        """Return the next request; None when the client ended or stayed idle."""
        self.command = ""
        self._connection.reader.allow(self._limits.idle_seconds, self._limits.request_bytes)
        try:
            if not self.rfile.peek(1):
                return None
        except TimeoutError:
            return None
        self._connection.reader.allow(self._limits.request_seconds, self._limits.request_bytes)
        try:
            self.raw_requestline = self._read_request_line()
            self.parse_request()
        except TimeoutError:
            self.send_error(HTTPStatus.REQUEST_TIMEOUT, "the request took too long to arrive")
        except LineTooLong:
            self.send_error(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the request's headers are too long")
        if self._connection.reader.ended:
            self.send_error(HTTPStatus.BAD_REQUEST, "the request ended before its headers did")
        return Request(self.command, self.path, self._check_headers())

    def _read_request_line(self) -> bytes:
        line = b"\r\n"
        for _ in range(_EMPTY_LINES):  # some clients send one after a body
            if line not in (b"\r\n", b"\n"):
                break
            first = self.rfile.peek(1)[:1]
            if first == _TLS_HANDSHAKE:
                self.send_error(HTTPStatus.BAD_REQUEST, "this port speaks plain HTTP, not TLS")
            if first not in (b"\r", b"\n") and not _HEADER_NAME.fullmatch(first.decode("latin-1")):
                self.send_error(HTTPStatus.BAD_REQUEST, "this is not an HTTP request")
            line = self.rfile.readline(self._limits.request_bytes)
        if not line.endswith(b"\n") and len(line) >= self._limits.request_bytes:
            self.send_error(HTTPStatus.REQUEST_URI_TOO_LONG, "the request line is too long")
        if not _REQUEST_LINE.fullmatch(line):
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
        if not (length.isascii() and length.isdigit()):
            self.send_error(HTTPStatus.BAD_REQUEST, "Content-Length is not a whole number")
        has_body = length.strip("0") != "" or "transfer-encoding" in headers
        options = {option.strip().lower() for option in headers.get("connection", "").split(",")}
        if has_body or "close" in options:  # a body is not read, so the next request could not be found
            self.close_connection = True
        return headers

    def _send(self, answer: Answer) -> None:
        if isinstance(answer.body, Streaming):
            stream = self._streams.open(answer.body.open)
            if stream is not None:
                try:
                    self._send_stream(answer, stream)
                finally:
                    self._streams.close(stream)
                return
            answer = answer.body.refusal
        self._connection.send(render(answer, close=self.close_connection), self._limits.write_seconds)

    def _send_stream(self, answer: Answer, stream: Stream) -> None:
        self.close_connection = True
        chunked = _knows_chunks(self.request_version)
        if chunked:
            answer = replace(answer, headers={**answer.headers, "Transfer-Encoding": "chunked"})
        self._connection.wake_by(stream.close)
        self._streaming()
        self._connection.send(render(answer, close=True), self._limits.write_seconds)
        carry(
            stream,
            self._connection,
            chunked=chunked,
            write_seconds=self._limits.write_seconds,
            keep_alive_seconds=self._limits.keep_alive_seconds,
        )

    def _answer(self, request: Request) -> Answer:
        self._connection.waiting_since = None
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
