"""The dashboard's files, as they are served: read once, named by their content."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from http import HTTPStatus
from importlib.resources import files

from rag_pipeline.http_server.content import Content

TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}


def find(name: str) -> Content | None:
    """Return a file of the dashboard; None if there is none of this name."""
    return _all().get(name)


@cache
def _all() -> dict[str, Content]:
    # Only what is there can be asked for: no name a client makes up becomes a path.
    found = files("rag_pipeline.http_server").joinpath("dashboard").iterdir()
    kinds = ((file, TYPES.get(file.name.rpartition(".")[2])) for file in found)
    return {file.name: _content(kind, file.read_bytes()) for file, kind in kinds if kind is not None}


def _content(kind: str, body: bytes) -> Content:
    # Kept by browsers, but asked for anew each time: with a new version of the service, no file of the old one is used.
    headers = {"ETag": f'"{sha256(body).hexdigest()[:20]}"', "Cache-Control": "no-cache"}
    return Content(HTTPStatus.OK, kind, body, headers)
