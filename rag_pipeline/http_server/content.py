"""What an answer says, before it is put on the wire: a status, a body and its type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol

from rag_pipeline.http_server.encoding import encode_json

JSON_TYPE = "application/json; charset=utf-8"
QUOTED_CHARACTERS = 200


class Stream(Protocol):
    """A body that comes in pieces, for as long as there is something to come."""

    @property
    def keep_alive(self) -> bytes:
        """A piece that says nothing: what shows both sides in quiet times that the other is there."""

    def read(self, timeout_seconds: float) -> bytes | None:
        """Return the next piece, empty when none came within the time, None at the end."""

    def close(self) -> None:
        """Release what it holds, and end a wait in :meth:`read`; idempotent, from any thread."""


Opener = Callable[[], Stream]
"""Opens a stream; raises :class:`~rag_pipeline.http_server.service_view.FollowerClosedError` when the service stops."""


@dataclass(frozen=True, slots=True)
class Content:
    """Status, type and body of an answer, and the headers that belong to them."""

    status: HTTPStatus
    content_type: str
    body: bytes | Opener
    headers: Mapping[str, str] = field(default_factory=dict)


def json_content(status: HTTPStatus, value: Mapping[str, object], headers: Mapping[str, str] | None = None) -> Content:
    """Return the value as JSON on one line."""
    return Content(status, JSON_TYPE, encode_json(value) + b"\n", headers or {})


def error_content(status: HTTPStatus, message: str, headers: Mapping[str, str] | None = None) -> Content:
    """Return ``{"error": message}``."""
    return json_content(status, {"error": message}, headers)


def no_pipeline(pipeline_id: str) -> Content:
    """Return the 404 of a pipeline that isn't there, or isn't there for who asks."""
    # Secrets may stand in what follows a question mark.
    message = f"no pipeline {quoted(pipeline_id.partition('?')[0])}: see /status for the ones there are"
    return error_content(HTTPStatus.NOT_FOUND, message)


def quoted(text: str) -> str:
    """Quote what the client sent, on one bounded line."""
    return repr(text[:QUOTED_CHARACTERS])
