"""What shortcuts point to: looked up once where the changes tell what becomes of it, and now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable

from rag_pipeline.sources.google_drive.api import DriveApi
from rag_pipeline.sources.google_drive.errors import FileUnavailableError
from rag_pipeline.sources.google_drive.export_formats import FOLDER
from rag_pipeline.sources.google_drive.mirror import NEVER_RECHECK, Mirror
from rag_pipeline.sources.google_drive.records import DriveFile

RECHECK_SECONDS = 600.0

ELSEWHERE = "a shortcut to a folder on another drive: not followed, watch that folder itself"
ANCESTOR = "a shortcut to a folder that this one lies in: not followed"
TRASHED = "a shortcut to something in the trash"


def resolve(api: DriveApi, mirror: Mirror, drive_id: str | None, check: Callable[[], None]) -> bool:
    """Look up what the mirror does not know of the targets of its shortcuts; returns whether there was anything.

    ``drive_id`` is the shared drive whose changes are followed, None for those of My Drive. What is not in there is
    looked up again every ten minutes, and so is what could not be followed.
    """
    now = time.time()
    targets = mirror.unresolved(now - RECHECK_SECONDS, now)
    for target in targets:
        check()
        _look_up(api, mirror, drive_id, target, now, check)
    return bool(targets)


def _look_up(
    api: DriveApi, mirror: Mirror, drive_id: str | None, target: str, now: float, check: Callable[[], None]
) -> None:
    try:
        file = api.file(target, check)
    except FileUnavailableError as error:
        mirror.set_target(target, None, f"a shortcut to something that {error.reason}", now)
        return
    reason = _why_not(file, mirror, drive_id)
    told = reason is None and file.drive_id == drive_id
    mirror.set_target(target, None if reason else file, reason, NEVER_RECHECK if told else now)


def _why_not(file: DriveFile, mirror: Mirror, drive_id: str | None) -> str | None:
    """Return why a shortcut is not followed: only where the changes tell what becomes of all that is below."""
    if file.trashed:
        return TRASHED
    if file.mime_type == FOLDER and file.drive_id != drive_id:
        return ELSEWHERE
    if file.mime_type == FOLDER and mirror.is_above(file.id):
        return ANCESTOR
    return None
