"""Paths of a Drive pipeline's mirror and downloads in the state folder."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path


def mirror_path(state_dir: Path, collection: str) -> Path:
    """Return the SQLite file that mirrors the watched folder."""
    return state_dir / f"drive-{_hash(collection)}.sqlite3"


def downloads_path(state_dir: Path, collection: str) -> Path:
    """Return the folder of temporary downloads."""
    return state_dir / f"downloads-{_hash(collection)}"


def _hash(collection: str) -> str:
    return blake2b(collection.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
