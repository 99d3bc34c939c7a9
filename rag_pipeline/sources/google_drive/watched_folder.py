"""The watched folder itself: whether it is one, whether it can be seen, and what it lies in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rag_pipeline.errors import ConfigurationError
from rag_pipeline.sources.google_drive.api import DriveApi
from rag_pipeline.sources.google_drive.errors import FileUnavailableError
from rag_pipeline.sources.google_drive.export_formats import FOLDER
from rag_pipeline.sources.google_drive.records import DriveFile
from rag_pipeline.sources.source import SourceUnavailableError

MAX_DEPTH = 100


def find_folder(api: DriveApi, folder_id: str, check: Callable[[], None]) -> DriveFile:
    """Return the folder.

    Raises :class:`~rag_pipeline.errors.ConfigurationError` for what is not a folder, and
    :class:`~rag_pipeline.sources.source.SourceUnavailableError` for one that can't be seen or lies in the
    trash, since it may come back.
    """
    try:
        folder = api.file(folder_id, check)
    except FileUnavailableError as error:
        raise SourceUnavailableError(f"the folder {error.reason}") from None
    if folder.mime_type != FOLDER:
        raise ConfigurationError(f"{folder_id} is not a folder but {folder.name!r} ({folder.mime_type})")
    if folder.trashed:
        raise SourceUnavailableError("the folder is in the trash")
    if folder.id == folder.drive_id:
        # Drive calls the root folder of every shared drive the same.
        return replace(folder, name=api.drive(folder.id, check))
    return folder


def ancestors(api: DriveApi, folder: DriveFile, check: Callable[[], None]) -> list[str]:
    """Return the ids of the folders that a folder lies in, up to the top or to the last that can be seen."""
    found: list[str] = []
    waiting = list(folder.parents)
    while waiting and len(found) < MAX_DEPTH:
        parent = waiting.pop()
        if parent in found or parent == folder.id:
            continue
        check()
        try:
            waiting += api.file(parent, check).parents
        except FileUnavailableError:
            continue
        found.append(parent)
    return found
