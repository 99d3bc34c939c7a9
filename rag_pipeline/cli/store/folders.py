"""Recovers the path of a watched folder from the location in the ledger."""

from __future__ import annotations

import re
from pathlib import Path

from rag_pipeline.sources.local_files import names
from rag_pipeline.status.checks import MAX_NAME_LENGTH

_ESCAPED = re.compile(rb"\\(\\|x[0-9a-f]{2})")


def folder_of(location: str) -> str | None:
    """Invert :func:`~rag_pipeline.sources.local_files.names.file_id`.

    Returns None for a location that is not a local folder, such as one in Google Drive, and for a shortened path.
    """
    if not location.startswith("/") or _is_cut(location):
        return None
    raw = _ESCAPED.sub(_unescaped, location.encode("utf-8", "surrogateescape"))
    path = raw.decode("utf-8", "surrogateescape")
    return path if names.file_id(path) == location else None


def is_there(location: str) -> bool | None:
    """Return whether the folder exists; None if the location is not a local folder."""
    folder = folder_of(location)
    return None if folder is None else Path(folder).is_dir()


def _is_cut(location: str) -> bool:
    return len(location) == MAX_NAME_LENGTH and location[-41] == "…"


def _unescaped(match: re.Match[bytes]) -> bytes:
    return b"\\" if match[1] == b"\\" else bytes([int(match[1][1:], 16)])
