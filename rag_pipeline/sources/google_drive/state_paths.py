"""Where a Drive pipeline keeps its mirror and its downloads in the state folder."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path


def mirror_path(state_dir: Path, scope: str) -> Path:
    """Return the file that mirrors what Drive has in the scope's folder."""
    return state_dir / f"drive-{_mark(scope)}.sqlite3"


def downloads_path(state_dir: Path, scope: str) -> Path:
    """Return the folder of the scope's downloads."""
    return state_dir / f"downloads-{_mark(scope)}"


def _mark(scope: str) -> str:
    return blake2b(scope.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
