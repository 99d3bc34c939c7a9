"""Turns whatever the storage library raises into one StoreError of one line."""

from __future__ import annotations

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


@contextmanager
def translated(path: Path, doing: str) -> Iterator[None]:
    """Raise StoreError naming ``path`` and what was being done, for any failure inside."""
    try:
        yield
    except (StoreError, Stopped):
        raise
    except BaseException as error:
        # A panic of the Rust library, met with damaged files, is no Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise StoreError(f"{path}: {doing} failed: {_cause(str(error), error)}") from error


def _cause(message: str, error: BaseException) -> str:
    for sign, cause in _CAUSES:
        if sign in message:
            return cause
    first = next((line.strip() for line in message.splitlines() if line.strip()), type(error).__name__)
    return first[:300]
