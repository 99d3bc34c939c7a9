"""Turns whatever the storage library raises into one StoreError of one line."""

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
# Where the library fails at what it wrote itself, it says so with a place in its own source.
_DAMAGE = re.compile(r"^lance error: |LanceError\(|\.rs:\d+|^Table '.*' was not found")
_REBUILD = "remove that folder and run rag-pipeline local-files again, which rebuilds it"


@contextmanager
def store_errors(path: Path, doing: str) -> Iterator[None]:
    """Raise StoreError naming ``path`` and what was being done, for any failure inside."""
    try:
        yield
    except (StoreError, Stopped):
        raise
    except BaseException as error:
        # A panic of the Rust library, met with damaged files, is no Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        cause = _cause(str(error), error)
        if cause is None:
            raise StoreError(f"{path}: the vector store is damaged ({doing} failed): {_REBUILD}") from error
        raise StoreError(f"{path}: {doing} failed: {cause}") from error


def _cause(message: str, error: BaseException) -> str | None:
    """Return why something failed, in words for people; None where the store's files are damaged."""
    for sign, cause in _CAUSES:
        if sign in message:
            return cause
    if other := _OTHER_CAUSE.search(message):
        return other[1]
    if _DAMAGE.search(message):
        return None
    first = next((line.strip() for line in message.splitlines() if line.strip()), type(error).__name__)
    return first[:300]
