"""Live status for RAG ingestion pipelines: every change is seen at once, in order, by all who watch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rag_pipeline.errors import RagPipelineError

if TYPE_CHECKING:
    from rag_pipeline.service.server import StatusServer, start_status_server
    from rag_pipeline.status import PipelineStatus, pipeline_status

__version__ = "0.1.0"
__all__ = ["PipelineStatus", "RagPipelineError", "StatusServer", "pipeline_status", "start_status_server"]


def __getattr__(name: str) -> Any:
    # The servers bring eventlet with them; a program that only reports need not load it. And a command that begins
    # with nothing loaded hears Ctrl+C from the first moment.
    if name in ("StatusServer", "start_status_server"):
        from rag_pipeline.service import server

        return getattr(server, name)
    if name in ("PipelineStatus", "pipeline_status"):
        from rag_pipeline import status

        return getattr(status, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
