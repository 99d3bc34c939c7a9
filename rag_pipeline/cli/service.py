"""Starts the status service for the commands that run pipelines."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rag_pipeline.common.document_search import DocumentSearch
    from rag_pipeline.sources.runner.file_lines import Service
    from rag_pipeline.status.pipeline import PipelineStatus


def start_service(
    statuses: Sequence[PipelineStatus],
    *,
    host: str | None,
    port: int | None,
    socket_port: int | None,
    state_dir: Path,
    documents: DocumentSearch | None = None,
) -> AbstractContextManager[Service]:
    """Start the service for these pipelines."""
    # Imported here because it loads eventlet, which search and health don't need.
    from rag_pipeline.service import start_status_server

    return start_status_server(
        port, host=host, socket_port=socket_port, pipelines=statuses, state_dir=state_dir, documents=documents
    )
