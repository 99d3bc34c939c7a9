"""The machine-readable contract: an AsyncAPI document of the events, an OpenAPI document of HTTP."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

DOCUMENTS = ("asyncapi.json", "openapi.json")


@cache
def document(name: str) -> bytes:
    """Return one of :data:`DOCUMENTS` as the service answers it."""
    return files(__name__).joinpath(name).read_bytes()
