"""A client for Python programs: follows a service, wherever it runs, and keeps a picture of its pipelines' states."""

from __future__ import annotations

from rag_pipeline.client.client import State, StatusClient
from rag_pipeline.client.following import Event
from rag_pipeline.client.state import Standing
from rag_pipeline.client.stream import EventStream
from rag_pipeline.errors import (
    AccessDeniedError,
    ClientClosedError,
    SlowConsumerError,
    UnreachableError,
    WaitTimeoutError,
)

__all__ = [
    "AccessDeniedError",
    "ClientClosedError",
    "Event",
    "EventStream",
    "SlowConsumerError",
    "Standing",
    "State",
    "StatusClient",
    "UnreachableError",
    "WaitTimeoutError",
]
