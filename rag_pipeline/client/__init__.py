"""A client for Python programs: follows a service, wherever it runs, and keeps a picture of its pipelines' states."""

from __future__ import annotations

from rag_pipeline.client.board import Standing
from rag_pipeline.client.client import State, StatusClient
from rag_pipeline.client.following import Event
from rag_pipeline.client.stream import EventStream
from rag_pipeline.errors import (
    AccessDeniedError,
    ClosedError,
    FellBehindError,
    UnreachableError,
    WaitedInVainError,
)

__all__ = [
    "AccessDeniedError",
    "ClosedError",
    "Event",
    "EventStream",
    "FellBehindError",
    "Standing",
    "State",
    "StatusClient",
    "UnreachableError",
    "WaitedInVainError",
]
