"""The tools of the MCP server: search the documents, and read the state of the pipelines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rag_pipeline.cli.mcp.service_client import ServiceClient
from rag_pipeline.common.document_search import (
    DEFAULT_RESULTS,
    MAX_QUESTION_CHARACTERS,
    MAX_RESULTS,
    DocumentQuery,
    DocumentSearch,
)
from rag_pipeline.errors import RagPipelineError

DEFAULT_FILES, MAX_FILES = 20, 200
_STATE_FIELDS = (
    "pipeline_id", "pipeline_type", "status", "message", "last_activity", "last_check_time", "files_in_flight",
    "files_queued", "total_processed", "total_failed", "total_skipped", "total_deleted", "files_per_minute",
    "eta_seconds",
)  # fmt: skip
_FILE_FIELDS = ("pipeline_id", "name", "id", "error", "attempt", "changed_at", "link")
Json = dict[str, Any]


class ToolError(Exception):
    """A tool can't answer; the message is one line for the model and its user."""


class Tools:
    """What the tools do: over HTTP, except that documents are searched in ``documents`` if it is given."""

    def __init__(self, service: ServiceClient, documents: DocumentSearch | None) -> None:
        self._service = service
        self._documents = documents

    def search(
        self,
        query: str,
        pipeline: str | None = None,
        path: str | None = None,
        file_type: str | None = None,
        limit: int = DEFAULT_RESULTS,
    ) -> Json:
        """Return the stored texts that answer the query, best first; raises ToolError."""
        if not query.strip() or len(query) > MAX_QUESTION_CHARACTERS:
            raise ToolError(f"query: expected 1 to {MAX_QUESTION_CHARACTERS} characters")
        if not 1 <= limit <= MAX_RESULTS:
            raise ToolError(f"limit: expected a number from 1 to {MAX_RESULTS}, not {limit}")
        try:
            if self._documents is None:
                parameters = {"q": query, "pipeline": pipeline, "path": path, "type": file_type, "limit": limit}
                results = self._service.get("/search", parameters)["results"]
            else:
                pipelines = None if pipeline is None else frozenset({pipeline})
                results = list(self._documents.search(DocumentQuery(query, pipelines, path, file_type, limit)))
        except RagPipelineError as error:
            raise ToolError(str(error)) from error
        return {"results": results} if results else {"results": [], "note": "Nothing found."}

    def status(self) -> Json:
        """Return a summary of each pipeline; raises ToolError."""
        body = self._get("/status", {"summary": "true"})
        states = list(body["pipelines"].values()) if "pipelines" in body else [body]
        return {"pipelines": [{name: state[name] for name in _STATE_FIELDS if name in state} for state in states]}

    def failed_files(self, pipeline: str | None = None, limit: int = DEFAULT_FILES) -> Json:
        """Return the files whose newest outcome is a failure, and why; raises ToolError."""
        if not 1 <= limit <= MAX_FILES:
            raise ToolError(f"limit: expected a number from 1 to {MAX_FILES}, not {limit}")
        body = self._get("/files", {"status": "failed", "pipeline_id": pipeline, "limit": limit})
        files = [{name: file.get(name) for name in _FILE_FIELDS} for file in body["files"]]
        return {"files": files, "more": body["next"] is not None}

    def _get(self, path: str, parameters: Mapping[str, str | int | None]) -> Json:
        try:
            return self._service.get(path, parameters)
        except RagPipelineError as error:
            raise ToolError(str(error)) from error
