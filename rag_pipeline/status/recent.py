"""The lists of the state: the files that ended last, by outcome, each file once."""

from __future__ import annotations

from collections.abc import Iterable

from rag_pipeline.status.files import Key, key_of
from rag_pipeline.status.model import FileRecord

MOST = (0, 10, 5, 5, 0)
"""Number of listed files, by outcome."""

FileList = tuple[FileRecord, ...]


def with_file(files: FileList, file: FileRecord, most: int) -> FileList:
    """Return the list with one more file, which must not be in it yet."""
    return (*files[1 - most :], file) if most else ()


def without(files: FileList, key: Key) -> FileList:
    """Return the list without the file."""
    return tuple([file for file in files if key_of(file.name, file.id) != key])


def last_of_each(files: Iterable[FileRecord], most: int) -> FileList:
    """Return the last ``most`` files, each once with its newest record."""
    newest: dict[Key, FileRecord] = {}
    for file in files:
        key = key_of(file.name, file.id)
        newest.pop(key, None)
        newest[key] = file
    return tuple(newest.values())[-most:] if most else ()
