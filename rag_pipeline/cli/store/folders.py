"""The watched folder of a local_files pipeline, from what its ledger keeps of it."""

from __future__ import annotations

import re
from pathlib import Path

from rag_pipeline.sources.local_files import names
from rag_pipeline.status.checks import MAX_NAME_LENGTH

_ESCAPED = re.compile(rb"\\(\\|x[0-9a-f]{2})")


def folder_of(place: str) -> str | None:
    """Return the path that :func:`~rag_pipeline.sources.local_files.names.file_id` has made this place of.

    None for a place that is no folder of this machine, such as one in Google Drive, and for a path that was too long
    to be kept whole.
    """
    if not place.startswith("/") or _is_cut(place):
        return None
    raw = _ESCAPED.sub(_unescaped, place.encode("utf-8", "surrogateescape"))
    path = raw.decode("utf-8", "surrogateescape")
    return path if names.file_id(path) == place else None


def is_there(place: str) -> bool | None:
    """Return whether the folder exists; None if it can't be told from here."""
    folder = folder_of(place)
    return None if folder is None else Path(folder).is_dir()


def _is_cut(place: str) -> bool:
    return len(place) == MAX_NAME_LENGTH and place[-41] == "…"


def _unescaped(match: re.Match[bytes]) -> bytes:
    return b"\\" if match[1] == b"\\" else bytes([int(match[1][1:], 16)])
