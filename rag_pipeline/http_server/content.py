"""The content of a response, before it goes on the wire: status, body and type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol

from rag_pipeline.http_server.json_encoding import encode_json

JSON_TYPE = "application/json; charset=utf-8"
QUOTED_CHARACTERS = 200


class Stream(Protocol):
    """A body that arrives in pieces, with no known end."""

    @property
    def keep_alive(self) -> bytes:
        """A piece without content, sent in quiet times so that both sides notice a dead connection."""

    def read(self, timeout_seconds: float) -> bytes | None:
        """Return the next piece; empty if none came within the timeout, None at the end."""

    def close(self) -> None:
        """Release its resources and end a wait in :meth:`read`; idempotent, from any thread."""


Opener = Callable[[], Stream]
"""Opens a stream; raises :class:`~rag_pipeline.broadcast.follower.FollowerClosedError` when the service stops."""


@dataclass(frozen=True, slots=True)
class ResponseContent:
    """Status, type and body of a response, and the headers that belong to them."""

    status: HTTPStatus
    content_type: str
    body: bytes | Opener
    headers: Mapping[str, str] = field(default_factory=dict)


def json_content(
    status: HTTPStatus, value: Mapping[str, object], headers: Mapping[str, str] | None = None
) -> ResponseContent:
    """Return the value as JSON on one line."""
    return ResponseContent(status, JSON_TYPE, encode_json(value) + b"\n", headers or {})


def error_content(status: HTTPStatus, message: str, headers: Mapping[str, str] | None = None) -> ResponseContent:
    """Return ``{"error": message}``."""
    return json_content(status, {"error": message}, headers)


def unavailable(message: str, retry_seconds: int) -> ResponseContent:
    """Return a 503 that says when to try again."""
    return error_content(HTTPStatus.SERVICE_UNAVAILABLE, message, {"Retry-After": str(retry_seconds)})


def no_pipeline(pipeline_id: str) -> ResponseContent:
    """Return the 404 for a pipeline that does not exist, or that the client may not see."""
    # Without what follows a question mark: it may contain a secret.
    message = f"no pipeline {quoted(pipeline_id.partition('?')[0])}: see /status for the ones there are"
    return error_content(HTTPStatus.NOT_FOUND, message)


def quoted(text: str) -> str:
    """Quote a client's text on one line of bounded length."""
    return repr(text[:QUOTED_CHARACTERS])
