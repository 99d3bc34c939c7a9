"""Builds a Google Drive source: session, API client, mirror, download folder."""

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
"""Attempts at one request: half a minute at most. After that, the status shows the error, and a later scan retries."""


@contextmanager
def open_source(
    settings: GoogleDriveSettings,
    credentials: DriveCredentials,
    *,
    collection: str,
    state_dir: Path,
    limit_bytes: int,
    stop: threading.Event,
) -> Iterator[GoogleDriveSource]:
    """Yield the source, without sending a request yet.

    ``collection`` names the folder's files in the store, and their mirror and downloads in ``state_dir``. Files of more
    than ``limit_bytes`` are not downloaded. Raises :class:`~rag_pipeline.errors.StateError`.
    """
    policy = RetryPolicy(attempts=ATTEMPTS, later_seconds=min(60.0, settings.check_interval_seconds))
    with credentials.open_session(settings.api_url) as session, Mirror(mirror_path(state_dir, collection)) as mirror:
        api = DriveApi(session, base_url=settings.api_url, policy=policy, stop=stop)
        yield GoogleDriveSource(
            api,
            mirror,
            DownloadFolder(downloads_path(state_dir, collection)),
            settings.folder_id,
            location=settings.location,
            account=credentials.account,
            limit_bytes=limit_bytes,
        )
