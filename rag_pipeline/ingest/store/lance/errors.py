"""Turns LanceDB's exceptions into a StoreError with a one-line message."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rag_pipeline.errors import StoreError
from rag_pipeline.ingest.types import Stopped

_CAUSES = (
    ("No space left", "the disk is full"),
    ("Permission denied", "no permission to write there"),
    ("Read-only file system", "the file system is read-only"),
    ("File too large", "a file would be larger than allowed"),
    ("Not a directory", "a part of the path is a file"),
)
_OTHER_CAUSE = re.compile(r"([A-Z][\w ,/-]{0,200}) \(os error (?!2\))\d+\)")
# If LanceDB can't read its own files, its message names a line of its source.
_DAMAGE = re.compile(r"^lance error: |LanceError\(|\.rs:\d+|^Table '.*' was not found")
_REBUILD = "remove that folder and run rag-pipeline local-files again, which rebuilds it"


@contextmanager
def store_errors(path: Path, doing: str) -> Iterator[None]:
    """Turn any failure in the block into a StoreError that names ``path`` and the operation."""
    try:
        yield
    except (StoreError, Stopped):
        raise
    except BaseException as error:
        # The Rust library panics on damaged files; a PanicException is not an Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        cause = _cause(str(error), error)
        if cause is None:
            raise StoreError(f"{path}: the vector store is damaged ({doing} failed): {_REBUILD}") from error
        raise StoreError(f"{path}: {doing} failed: {cause}") from error


def _cause(message: str, error: BaseException) -> str | None:
    """Return the reason of a failure in plain words; None if the store's files are damaged."""
    for sign, cause in _CAUSES:
        if sign in message:
            return cause
    if other := _OTHER_CAUSE.search(message):
        return other[1]
    if _DAMAGE.search(message):
        return None
    first = next((line.strip() for line in message.splitlines() if line.strip()), type(error).__name__)
    return first[:300]
