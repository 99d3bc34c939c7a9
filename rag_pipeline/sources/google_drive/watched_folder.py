"""Finds the watched folder in Drive, and the folders above it."""

from __future__ import annotations

from dataclasses import replace

from rag_pipeline.errors import ConfigurationError
from rag_pipeline.sources.google_drive.api import DriveApi
from rag_pipeline.sources.google_drive.errors import FileUnavailableError
from rag_pipeline.sources.google_drive.export_formats import FOLDER
from rag_pipeline.sources.google_drive.records import DriveFile
from rag_pipeline.sources.source import Check, SourceUnavailableError

MAX_DEPTH = 100


def find_folder(api: DriveApi, folder_id: str, check: Check) -> DriveFile:
    """Return the folder.

    Raises :class:`~rag_pipeline.errors.ConfigurationError` if it is not a folder, and
    :class:`~rag_pipeline.sources.source.SourceUnavailableError` if it is invisible or trashed: it may come back.
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
        # Drive gives the root folder of every shared drive the same name.
        return replace(folder, name=api.drive(folder.id, check))
    return folder


def ancestors(api: DriveApi, folder: DriveFile, check: Check) -> list[str]:
    """Return the ids of the folders above a folder, as far as they are visible."""
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
