"""Helpers for tests that talk to the fake Drive server through the pipeline's own client."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rag_pipeline.ingest.types import Stopped
from rag_pipeline.sources.google_drive.api import DriveApi
from rag_pipeline.sources.google_drive.auth.credentials import read_credentials
from rag_pipeline.sources.google_drive.download_folder import DownloadFolder
from rag_pipeline.sources.google_drive.mirror import Mirror
from rag_pipeline.sources.google_drive.records import DriveFile
from rag_pipeline.sources.google_drive.source import GoogleDriveSource
from rag_pipeline.sources.google_drive.transport.retry import RetryPolicy
from rag_pipeline.sources.google_drive.transport.session import DriveSession
from tests.drive import DriveServer

LIMIT_BYTES = 1 << 20
QUICK = RetryPolicy(base_seconds=0.001, cap_seconds=0.002, total_seconds=60, later_seconds=5, read_timeout_seconds=20.0)
QUICK_SCAN = RetryPolicy(
    attempts=8, base_seconds=0.002, cap_seconds=0.02, total_seconds=20.0, later_seconds=0.2, read_timeout_seconds=5.0
)
"""The default policy, with shorter waits."""


def session_for(server: DriveServer) -> DriveSession:
    """Return a session of the server's service account."""
    env = {"GOOGLE_DRIVE_CREDENTIALS_JSON": json.dumps(server.service_account())}
    return read_credentials(env, Path("/nonexistent")).open_session(server.url)


def api_for(server: DriveServer, policy: RetryPolicy = QUICK, stop: threading.Event | None = None) -> DriveApi:
    """Return a client of the server."""
    return DriveApi(session_for(server), base_url=server.url, policy=policy, stop=stop or threading.Event())


@contextmanager
def open_api(
    server: DriveServer, policy: RetryPolicy = QUICK_SCAN, stop: threading.Event | None = None
) -> Iterator[DriveApi]:
    """Yield a client of the server, and close its session."""
    with session_for(server) as session:
        yield DriveApi(session, base_url=server.url, policy=policy, stop=stop or threading.Event())


class OpenedSource:
    """A source over one folder, with its parts."""

    def __init__(self, path: Path, api: DriveApi, mirror: Mirror, folder_id: str, limit_bytes: int) -> None:
        self.mirror = mirror
        self.downloads = DownloadFolder(path / "downloads")
        self.source = GoogleDriveSource(
            api, mirror, self.downloads, folder_id, location="the folder", account="me", limit_bytes=limit_bytes
        )

    def ids(self) -> set[str]:
        """Scan, and return the ids of the files."""
        return set(self.source.scan(no_check).files)

    def reasons(self) -> dict[str, str]:
        """Scan, and return the reasons of the unreadable files by id."""
        return {key: entry.reason for key, entry in self.source.scan(no_check).unreadable.items()}


@contextmanager
def open_source(
    path: Path, server: DriveServer, folder_id: str, *, limit_bytes: int = LIMIT_BYTES, policy: RetryPolicy = QUICK_SCAN
) -> Iterator[OpenedSource]:
    """Open a source; its mirror stays at ``path``."""
    with open_api(server, policy) as api, Mirror(path / "mirror.sqlite3") as mirror:
        yield OpenedSource(path, api, mirror, folder_id, limit_bytes)


class StopAfter:
    """A check that raises Stopped after this number of calls."""

    def __init__(self, checks: int) -> None:
        self._remaining = checks

    def __call__(self) -> None:
        self._remaining -= 1
        if self._remaining < 0:
            raise Stopped


def no_check() -> None:
    """A check that never stops anything."""


def ignore_progress(fraction: float) -> None:
    """A progress callback that does nothing."""


def download(server: DriveServer, file_id: str, target: Path, policy: RetryPolicy = QUICK) -> DriveFile:
    """Download a file, and return its metadata from before the download."""
    api = api_for(server, policy)
    file = api.file(file_id)
    api.download(file, target, ignore_progress, no_check)
    return file


def export(server: DriveServer, file_id: str, mime_type: str, target: Path) -> None:
    """Export a file."""
    api = api_for(server)
    api.export(api.file(file_id), mime_type, target, ignore_progress, no_check)


def write_json(path: Path, data: object) -> Path:
    """Write a JSON file."""
    path.write_text(json.dumps(data))
    return path


def is_empty_folder(folder: Path) -> bool:
    """Return whether the folder is empty."""
    return not any(folder.iterdir())
