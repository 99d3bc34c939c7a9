"""Each error means a failed file, a skipped file or a failed dependency; some also remove the stored text."""

from __future__ import annotations

import errno
import os

import pytest

from rag_pipeline.errors import (
    CorruptFileError,
    EmbeddingError,
    EmptyFileError,
    ExtractionLimitError,
    ExtractorUnavailableError,
    ResourceError,
    StoreError,
    TextRefusedError,
    UnsupportedFileTypeError,
)
from rag_pipeline.sources.ingest_result import (
    EMBEDDING_DEPENDENCY,
    MACHINE_DEPENDENCY,
    STORE_DEPENDENCY,
    IngestEnd,
    dependency_failure,
    result_of_error,
)
from rag_pipeline.sources.source import SkippedError


def os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("error", "end", "removes_text", "retryable"),
    [
        (UnsupportedFileTypeError("no reader"), IngestEnd.SKIPPED, True, False),
        (EmptyFileError("nothing in it"), IngestEnd.SKIPPED, True, False),
        (SkippedError("may not be read"), IngestEnd.SKIPPED, True, False),
        (CorruptFileError("cut off"), IngestEnd.FAILED, True, False),
        (StoreError("refused"), IngestEnd.FAILED, False, True),
        (TextRefusedError("refused"), IngestEnd.FAILED, False, True),
        (os_error(errno.EIO), IngestEnd.FAILED, False, True),
        (os_error(errno.EACCES), IngestEnd.FAILED, False, False),
        (ValueError("a mistake of ours"), IngestEnd.FAILED, False, False),
    ],
)
def test_only_content_and_source_remove_stored_text(
    error: Exception, end: IngestEnd, removes_text: bool, retryable: bool
) -> None:
    result = result_of_error(error, "a.pdf", "extracting")
    assert (result.end, result.removes_text, result.retryable) == (end, removes_text, retryable)
    assert result.error is not None
    assert (result.error["type"], result.error["stage"]) == (type(error).__name__, "extracting")


def test_an_error_without_text_shows_its_type() -> None:
    result = result_of_error(KeyError(), "a.pdf", "storing")
    assert result.error is not None
    assert result.error["message"] == "KeyError"


def test_an_error_of_the_file_system_names_the_file() -> None:
    result = result_of_error(os_error(errno.EIO), "a.pdf", "extracting")
    assert result.error is not None
    assert result.error["message"] == f"a.pdf can't be read: {os.strerror(errno.EIO)}"


@pytest.mark.parametrize(
    ("error", "dependency"),
    [
        (EmbeddingError("no answer"), EMBEDDING_DEPENDENCY),
        (TextRefusedError("too long"), None),
        (StoreError("locked"), STORE_DEPENDENCY),
        (ResourceError("no memory"), MACHINE_DEPENDENCY),
        (ExtractorUnavailableError("can't start"), MACHINE_DEPENDENCY),
        (MemoryError(), MACHINE_DEPENDENCY),
        (os_error(errno.ENOSPC), MACHINE_DEPENDENCY),
        (os_error(errno.EMFILE), MACHINE_DEPENDENCY),
        (RuntimeError("can't start new thread"), MACHINE_DEPENDENCY),
        (os_error(errno.EIO), None),
        (CorruptFileError("cut off"), None),
        (ExtractionLimitError("too slow"), None),
        (ValueError("a mistake of ours"), None),
    ],
)
def test_a_dependency_is_blamed_only_for_its_own_errors(error: Exception, dependency: str | None) -> None:
    failure = dependency_failure(error, "a.pdf", "embedding")
    assert (failure and failure.dependency) == dependency


@pytest.mark.parametrize(
    ("error", "may_be"),
    [
        (MemoryError(), True),
        (os_error(errno.ENOSPC), True),
        (os_error(errno.EMFILE), False),
        (RuntimeError("can't start new thread"), False),
    ],
)
def test_a_file_can_cause_a_shortage_of_space_but_not_of_threads(error: Exception, may_be: bool) -> None:
    failure = dependency_failure(error, "a.pdf", "embedding")
    assert failure is not None
    assert isinstance(failure.error, ResourceError)
    assert failure.error.may_be_of_file is may_be
