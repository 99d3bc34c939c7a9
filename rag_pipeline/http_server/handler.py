"""Handles one HTTP request: from its bytes to the response's bytes, or to a stream."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from email.utils import formatdate
from http import HTTPStatus
from typing import NamedTuple

from rag_pipeline.http_server.connection import ClientConnection
from rag_pipeline.http_server.content import Stream
from rag_pipeline.http_server.limits import Limits
from rag_pipeline.http_server.messages import HttpRequest, HttpResponse, StreamBody, error_response
from rag_pipeline.http_server.request_head import HeadStage
from rag_pipeline.http_server.request_parser import RejectedRequestError, RequestParser
from rag_pipeline.http_server.streaming import OpenStreams, send_stream

Respond = Callable[[HttpRequest], HttpResponse]

logger = logging.getLogger("rag_pipeline.http")


class StreamingResponse(NamedTuple):
    """A response whose stream is open."""

    stream: Stream
    response: HttpResponse
    chunked: bool


class RequestHandler:
    """Handles requests on several threads at once; ``stopping`` tells that connections end now."""

    def __init__(self, respond: Respond, limits: Limits, streams: OpenStreams, stopping: Callable[[], bool]) -> None:
        self._respond = respond
        self._limits = limits
        self._streams = streams
        self._stopping = stopping

    def handle(self, connection: ClientConnection) -> StreamingResponse | None:
        """Respond to the request that has arrived; return the stream if it asks for one.

        What the client does not read at once stays in the connection's ``rest``. Raises ``OSError`` if it is gone.
        """
        stage = connection.head.stage or HeadStage.CUT
        parser = RequestParser(lambda: connection.address)
        connection.requests += 1
        try:
            parsed = parser.parse(connection.head.take(), stage)
            response, version = self._respond_safely(parsed.request), parsed.version
            connection.closes = parsed.closes
        except RejectedRequestError as error:
            connection.closes = True
            version = ""
            response = error_response(error.status, error.message, send_body=parser.command != "HEAD")
        connection.closes |= connection.requests >= self._limits.requests_per_connection or self._stopping()
        if isinstance(response.body, StreamBody):
            stream = self._streams.open(response.body.open)
            if stream is not None:
                return StreamingResponse(stream, response, _knows_chunks(version))
            response = response.body.refusal
        connection.begin_sending(render(response, close=connection.closes))
        return None

    def send_stream(self, connection: ClientConnection, streaming: StreamingResponse) -> None:
        """Send the stream until it or the client ends; raises ``OSError`` if the client is gone."""
        connection.closes = True
        response = streaming.response
        if streaming.chunked:
            response = replace(response, headers={**response.headers, "Transfer-Encoding": "chunked"})
        try:
            connection.wake_by(streaming.stream.close)
            connection.send(render(response, close=True), self._limits.write_seconds)
            send_stream(
                streaming.stream,
                connection,
                chunked=streaming.chunked,
                write_seconds=self._limits.write_seconds,
                keep_alive_seconds=self._limits.keep_alive_seconds,
            )
        finally:
            self._streams.close(streaming.stream)

    def _respond_safely(self, request: HttpRequest) -> HttpResponse:
        try:
            response = self._respond(request)
        except Exception:
            logger.exception("no response to %s %s", request.method, _loggable_path(request))
            message = "the service could not answer; its log says why"
            response = error_response(HTTPStatus.INTERNAL_SERVER_ERROR, message, send_body=request.method != "HEAD")
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("%s %s %d", request.method, _loggable_path(request), response.status)
        return response


def render(response: HttpResponse, *, close: bool) -> bytes:
    """Return the response's bytes; for a stream only its head."""
    headers = {
        "Date": formatdate(usegmt=True),
        "Server": "rag-pipeline",
        "Connection": "close" if close else "keep-alive",
        **response.headers,
    }
    lines = [f"HTTP/1.1 {response.status:d} {HTTPStatus(response.status).phrase}"]
    lines += (f"{name}: {value}" for name, value in headers.items())
    body = response.body if isinstance(response.body, bytes) else b""
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def _knows_chunks(version: str) -> bool:
    """Return whether a client of this version (``HTTP/1.1``) reads the chunked transfer coding."""
    return tuple(map(int, version.removeprefix("HTTP/").split("."))) >= (1, 1)


def _loggable_path(request: HttpRequest) -> str:
    """Return the path for a log line: without the query string, which may contain a secret, and printable."""
    return ascii(request.target.partition("?")[0][:200])
