"""The files that ended last, by outcome: what the lists of the state show, each file once."""

from __future__ import annotations

from collections.abc import Iterable

from rag_pipeline.status.files import Key, key_of
from rag_pipeline.status.model import FileRecord

MOST = (0, 10, 5, 5, 0)
"""How many files are listed, by outcome."""

Files = tuple[FileRecord, ...]


def with_file(files: Files, file: FileRecord, most: int) -> Files:
    """Return the list with one more file, which does not stand in it."""
    return (*files[1 - most :], file) if most else ()


def without(files: Files, key: Key) -> Files:
    """Return the list without a file."""
    return tuple([file for file in files if key_of(file.name, file.id) != key])


def last_of_each(files: Iterable[FileRecord], most: int) -> Files:
    """Return the last ``most`` files, each with its newest record alone."""
    newest: dict[Key, FileRecord] = {}
    for file in files:
        key = key_of(file.name, file.id)
        newest.pop(key, None)
        newest[key] = file
    return tuple(newest.values())[-most:] if most else ()
