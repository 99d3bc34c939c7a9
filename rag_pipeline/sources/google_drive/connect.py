"""Puts together what follows a folder: session, API, mirror, spool."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rag_pipeline.sources.google_drive.api import DriveApi
from rag_pipeline.sources.google_drive.auth.credentials import DriveCredentials
from rag_pipeline.sources.google_drive.download_folder import DownloadFolder
from rag_pipeline.sources.google_drive.mirror import Mirror
from rag_pipeline.sources.google_drive.settings import GoogleDriveSettings
from rag_pipeline.sources.google_drive.source import GoogleDriveSource
from rag_pipeline.sources.google_drive.state_paths import downloads_path, mirror_path
from rag_pipeline.sources.google_drive.transport.retry import RetryPolicy

ATTEMPTS = 6
"""Of one request: after half a minute at most it is better to say what is wrong, and to try again later."""


@contextmanager
def open_source(
    settings: GoogleDriveSettings,
    access: DriveCredentials,
    *,
    scope: str,
    state_dir: Path,
    limit_bytes: int,
    stop: threading.Event,
) -> Iterator[GoogleDriveSource]:
    """Give the source for as long as the block lasts; nothing is asked of Google yet.

    ``scope`` is the name under which the folder's files are kept; what belongs to it is found in ``state_dir`` again.
    ``limit_bytes`` is the size up to which files are fetched. Raises :class:`~rag_pipeline.errors.StateError`.
    """
    policy = RetryPolicy(attempts=ATTEMPTS, later_seconds=min(60.0, settings.check_interval_seconds))
    with access.open_session(settings.api_url) as session, Mirror(mirror_path(state_dir, scope)) as mirror:
        api = DriveApi(session, base_url=settings.api_url, policy=policy, stop=stop)
        spool = DownloadFolder(downloads_path(state_dir, scope))
        yield GoogleDriveSource(
            api,
            mirror,
            spool,
            settings.folder_id,
            location=settings.location,
            account=access.account,
            limit_bytes=limit_bytes,
        )
