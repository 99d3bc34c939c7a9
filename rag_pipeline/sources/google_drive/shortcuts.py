"""Looks up the targets of shortcuts.

A target whose changes Drive reports is looked up once; any other again every ten minutes.
"""

from __future__ import annotations

import time

from rag_pipeline.sources.google_drive.api import DriveApi
from rag_pipeline.sources.google_drive.errors import FileUnavailableError
from rag_pipeline.sources.google_drive.export_formats import FOLDER
from rag_pipeline.sources.google_drive.mirror import NEVER_RECHECK, Mirror
from rag_pipeline.sources.google_drive.records import DriveFile
from rag_pipeline.sources.source import Check

RECHECK_SECONDS = 600.0

OTHER_DRIVE = "a shortcut to a folder on another drive: not followed, watch that folder itself"
ANCESTOR = "a shortcut to a folder that this one lies in: not followed"
TRASHED = "a shortcut to something in the trash"


def resolve(api: DriveApi, mirror: Mirror, drive_id: str | None, check: Check) -> bool:
    """Look up the shortcut targets that are unknown or due for another lookup; return whether there were any.

    ``drive_id`` is the shared drive whose changes are followed, None for My Drive. Targets outside of it, and targets
    that can't be followed, are looked up again every ten minutes.
    """
    now = time.time()
    targets = mirror.unresolved(now - RECHECK_SECONDS, now)
    for target in targets:
        check()
        _resolve_target(api, mirror, drive_id, target, now, check)
    return bool(targets)


def _resolve_target(api: DriveApi, mirror: Mirror, drive_id: str | None, target: str, now: float, check: Check) -> None:
    try:
        file = api.file(target, check)
    except FileUnavailableError as error:
        mirror.set_target(target, None, f"a shortcut to something that {error.reason}", now)
        return
    reason = _reason_not_to_follow(file, mirror, drive_id)
    has_changes = reason is None and file.drive_id == drive_id
    mirror.set_target(target, None if reason else file, reason, NEVER_RECHECK if has_changes else now)


def _reason_not_to_follow(file: DriveFile, mirror: Mirror, drive_id: str | None) -> str | None:
    if file.trashed:
        return TRASHED
    if file.mime_type == FOLDER and file.drive_id != drive_id:
        return OTHER_DRIVE  # Drive would not report the changes in it
    if file.mime_type == FOLDER and mirror.is_ancestor(file.id):
        return ANCESTOR
    return None
