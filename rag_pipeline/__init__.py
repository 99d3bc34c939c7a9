"""Live status for RAG ingestion pipelines: every client sees each change at once and in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rag_pipeline.common.version import __version__
from rag_pipeline.errors import RagPipelineError

if TYPE_CHECKING:
    from rag_pipeline.ingest.api import search
    from rag_pipeline.ingest.types import SearchHit
    from rag_pipeline.service import StatusServer, start_status_server
    from rag_pipeline.status.control import Action, Control
    from rag_pipeline.status.pipeline import PipelineStatus, pipeline_status

__all__ = [
    "Action", "Control", "PipelineStatus", "RagPipelineError", "SearchHit", "StatusServer", "__version__",
    "pipeline_status", "search", "start_status_server",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    # Loaded on first use: a program that only reports needs no server, and a command that has loaded little reacts to
    # Ctrl+C from the first moment.
    if name in ("StatusServer", "start_status_server"):
        from rag_pipeline import service

        return getattr(service, name)
    if name in ("PipelineStatus", "pipeline_status"):
        from rag_pipeline.status import pipeline

        return getattr(pipeline, name)
    if name in ("Action", "Control"):
        from rag_pipeline.status import control

        return getattr(control, name)
    if name == "search":
        from rag_pipeline.ingest.api import search

        return search
    if name == "SearchHit":
        from rag_pipeline.ingest.types import SearchHit

        return SearchHit
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
