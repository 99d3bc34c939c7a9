"""``rag_pipeline.search``: searches the stored documents from Python."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from rag_pipeline.common.document_search import DEFAULT_RESULTS, MAX_RESULTS, DocumentQuery
from rag_pipeline.ingest.document_search import StoredDocuments
from rag_pipeline.ingest.installed import check_installed
from rag_pipeline.ingest.settings import IngestSettings
from rag_pipeline.ingest.state_dir import read_state_dir
from rag_pipeline.ingest.types import SearchHit

_lock = threading.Lock()
_opened: tuple[IngestSettings, Path, StoredDocuments] | None = None


def search(
    question: str,
    *,
    limit: int = DEFAULT_RESULTS,
    pipeline: str | None = None,
    path: str | None = None,
    file_type: str | None = None,
    state_dir: str | os.PathLike[str] | None = None,
) -> list[SearchHit]:
    """Return the stored texts that answer a question, best first; none if nothing is near.

    The store is the one of ``RAG_STORE_URL``, or else of ``state_dir`` (default ``STATUS_STATE_DIR``). It and the model
    stay open for the next call. ``pipeline`` is the name of a pipeline's documents as ``rag-pipeline store list`` shows
    it. ``path`` is a pattern for a file's id or name with ``*`` and ``?``, ``file_type`` a MIME type or an extension.

    Raises ValueError for an empty question or filter, or a limit that is not 1 to 100, StoreError if nothing is stored,
    and EmbeddingError or ConfigurationError if the model or a library is missing.
    """
    if not isinstance(question, str) or not question.strip():
        raise ValueError("question: expected what to look for, in words")
    if not isinstance(limit, int) or not 1 <= limit <= MAX_RESULTS:
        raise ValueError(f"limit={limit!r}: expected a whole number, 1 to {MAX_RESULTS}")
    for name, value in (("pipeline", pipeline), ("path", path), ("file_type", file_type)):
        if value is not None and (not isinstance(value, str) or not value):
            raise ValueError(f"{name}={value!r}: expected text, or None for any")
    pipelines = None if pipeline is None else frozenset({pipeline})
    return _documents(state_dir).hits(DocumentQuery(question, pipelines, path, file_type, limit))


def _documents(state_dir: str | os.PathLike[str] | None) -> StoredDocuments:
    global _opened
    settings = IngestSettings.from_env()
    folder = (read_state_dir() if state_dir is None else Path(state_dir).expanduser()).absolute()
    with _lock:
        if _opened is not None:
            if _opened[:2] == (settings, folder):
                return _opened[2]
            _opened[2].close()
            _opened = None
        check_installed(settings)
        documents = StoredDocuments(settings, folder)
        _opened = (settings, folder, documents)
        return documents
