"""The dashboard's files: read once, each with an ETag of its content."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from http import HTTPStatus
from importlib.resources import files

from rag_pipeline.http_server.content import ResponseContent

TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}


def find(name: str) -> ResponseContent | None:
    """Return a file of the dashboard; None for an unknown name."""
    return _all().get(name)


@cache
def _all() -> dict[str, ResponseContent]:
    # Names are looked up, never turned into a path: a client can't reach any other file.
    folder = files("rag_pipeline.http_server").joinpath("dashboard").iterdir()
    typed = ((file, TYPES.get(file.name.rpartition(".")[2])) for file in folder)
    return {file.name: _content(kind, file.read_bytes()) for file, kind in typed if kind is not None}


def _content(kind: str, body: bytes) -> ResponseContent:
    # Browsers keep the file but revalidate it each time: after an update of the service none uses an old file.
    headers = {"ETag": f'"{sha256(body).hexdigest()[:20]}"', "Cache-Control": "no-cache"}
    return ResponseContent(HTTPStatus.OK, kind, body, headers)
