"""The contract for machines: an AsyncAPI document for the events, an OpenAPI document for HTTP."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

DOCUMENTS = ("asyncapi.json", "openapi.json")


@cache
def document(name: str) -> bytes:
    """Return one of :data:`DOCUMENTS` as it is served."""
    return files(__name__).joinpath(name).read_bytes()
