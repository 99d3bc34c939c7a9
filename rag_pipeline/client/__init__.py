"""A client for Python programs: follows a service, wherever it runs, and keeps its pipelines' states."""

from __future__ import annotations

from rag_pipeline.client.client import State, StatusClient
from rag_pipeline.client.state import ConnectionState
from rag_pipeline.client.state_tracker import Event
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
    "ConnectionState",
    "Event",
    "EventStream",
    "SlowConsumerError",
    "State",
    "StatusClient",
    "UnreachableError",
    "WaitTimeoutError",
]
