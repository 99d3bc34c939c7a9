"""The result of ingesting one file, and what each error means: the file failed, was skipped, or a dependency failed."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from rag_pipeline.errors import (
    EmbeddingError,
    EmptyFileError,
    ExtractionError,
    ExtractionLimitError,
    ExtractorUnavailableError,
    RagPipelineError,
    ResourceError,
    StoreError,
    TextRefusedError,
    UnsupportedFileTypeError,
)
from rag_pipeline.sources.source import SkippedError, SourceUnavailableError
from rag_pipeline.sources.verdict import Verdict

EMBEDDING_DEPENDENCY, STORE_DEPENDENCY, MACHINE_DEPENDENCY = "embedding", "store", "machine"

_SKIPPED = (UnsupportedFileTypeError, EmptyFileError, SkippedError)
# The machine is short of something; that is not the fault of the file in work.
_SHORTAGES_OF_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.ENOMEM})
_SHORTAGES = _SHORTAGES_OF_SPACE | {errno.EMFILE, errno.ENFILE, errno.EAGAIN}
# Only a person can mend these; all other errors of the file system may pass.
_LASTING = frozenset({errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG, errno.EISDIR})


class IngestEnd(StrEnum):
    """Outcome of the work on a file.

    - REUSED: the same content is stored under another id; the caller copies or moves it.
    - DEFERRED: the same content is being ingested under another id; this file comes after that one.
    - CHANGED: the file changed or can't be found. Only a scan decides that a file is gone, because a scan knows
      whether the source is there.
    - CANCELLED, UNAVAILABLE (the source), BLOCKED (a dependency), STOPPED (the pipeline): not done, put back.
    """

    STORED = "stored"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    FAILED = "failed"
    REUSED = "reused"
    DEFERRED = "deferred"
    CHANGED = "changed"
    CANCELLED = "cancelled"
    UNAVAILABLE = "unavailable"
    BLOCKED = "blocked"
    STOPPED = "stopped"


_UNFINISHED = frozenset(
    {
        IngestEnd.DEFERRED,
        IngestEnd.CHANGED,
        IngestEnd.CANCELLED,
        IngestEnd.UNAVAILABLE,
        IngestEnd.BLOCKED,
        IngestEnd.STOPPED,
    }
)


class DependencyFailure(NamedTuple):
    """A dependency that failed while a file was ingested, and its error."""

    dependency: str
    error: RagPipelineError


@dataclass(frozen=True, slots=True)
class IngestResult:
    """The result of ingesting one file.

    error: in the shape that the status shows.
    same_content_as: name of the stored file whose chunks and vectors were reused.
    removes_text: the text stored for the file is wrong now, because the content itself, or the source, has none.
    unavailable: why the source can't be read, for UNAVAILABLE.
    failed_dependency: for BLOCKED.
    overran: extraction used up its time limit.
    verdict: on the stored text; None if it is unknown.
    """

    end: IngestEnd
    fingerprint: str | None = None
    chunks: int = 0
    mime_type: str | None = None
    error: Mapping[str, Any] | None = None
    same_content_as: str | None = None
    removes_text: bool = False
    unavailable: SourceUnavailableError | None = None
    failed_dependency: DependencyFailure | None = None
    overran: bool = False
    verdict: Verdict | None = None

    @property
    def is_unfinished(self) -> bool:
        """Whether the work on the file is not done: it will be tried again, or a stop interrupted it."""
        return self.end in _UNFINISHED

    @property
    def retryable(self) -> bool:
        """Whether a retry of the unchanged file may succeed."""
        return self.error is not None and bool(self.error["retryable"])


def result_of_error(error: Exception, name: str, stage: str) -> IngestResult:
    """Return the result for a file that an error ended in this stage: failed or skipped.

    Stored text is removed only if the content (``of_content``) or the source has none; other errors say nothing about
    the text.
    """
    shown = {
        "type": type(error).__name__,
        "message": _message(error, name),
        "stage": stage,
        "retryable": _is_retryable(error),
    }
    removes_text = isinstance(error, SkippedError) or (isinstance(error, ExtractionError) and error.of_content)
    end = IngestEnd.SKIPPED if isinstance(error, _SKIPPED) else IngestEnd.FAILED
    overran = isinstance(error, ExtractionLimitError) and error.overran
    return IngestResult(end, error=shown, removes_text=removes_text, overran=overran)


def dependency_failure(error: Exception, name: str, stage: str) -> DependencyFailure | None:
    """Return the dependency that caused the error; None if the file did, or if the cause is unknown."""
    if isinstance(error, TextRefusedError):
        return None
    if isinstance(error, EmbeddingError):
        return DependencyFailure(EMBEDDING_DEPENDENCY, error)
    if isinstance(error, StoreError):
        return DependencyFailure(STORE_DEPENDENCY, error)
    if isinstance(error, ResourceError | ExtractorUnavailableError):
        return DependencyFailure(MACHINE_DEPENDENCY, error)
    shortage = _shortage(error)
    if shortage is None:
        return None
    resource_error = ResourceError(f"{stage} {name}: {shortage}")
    resource_error.may_be_of_file = isinstance(error, MemoryError) or (
        isinstance(error, OSError) and error.errno in _SHORTAGES_OF_SPACE
    )
    return DependencyFailure(MACHINE_DEPENDENCY, resource_error)


def _shortage(error: Exception) -> str | None:
    if isinstance(error, MemoryError):
        return "out of memory"
    if isinstance(error, OSError) and error.errno in _SHORTAGES:
        return error.strerror or str(error)
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return str(error)
    return None


def _message(error: Exception, name: str) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{name} can't be read: {error.strerror}"
    return str(error) or type(error).__name__


def _is_retryable(error: Exception) -> bool:
    if isinstance(error, StoreError | TextRefusedError):
        return True  # the next attempt may succeed
    if isinstance(error, OSError):
        return error.errno not in _LASTING
    return bool(getattr(error, "retryable", False))
