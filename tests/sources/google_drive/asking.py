"""Help for tests that ask the tests' Drive through the pipeline's own access to it."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from rag_pipeline.sources.google_drive.api import DriveApi
from rag_pipeline.sources.google_drive.auth.credentials import read_credentials
from rag_pipeline.sources.google_drive.records import DriveFile
from rag_pipeline.sources.google_drive.transport.retry import RetryPolicy
from rag_pipeline.sources.google_drive.transport.session import DriveSession
from tests.drive import DriveServer

QUICK = RetryPolicy(base_seconds=0.001, cap_seconds=0.002, total_seconds=60, later_seconds=5, read_timeout_seconds=20.0)
NOWHERE = Path("/nonexistent")


def session_for(server: DriveServer) -> DriveSession:
    """Return a session of the server's service account."""
    env = {"GOOGLE_DRIVE_CREDENTIALS_JSON": json.dumps(server.service_account())}
    return read_credentials(env, NOWHERE).open_session(server.url)


def api_for(server: DriveServer, policy: RetryPolicy = QUICK, stop: threading.Event | None = None) -> DriveApi:
    """Return Drive's API at the server."""
    return DriveApi(session_for(server), base_url=server.url, policy=policy, stop=stop or threading.Event())


def never() -> None:
    """A check that stops nothing."""


def unheard(fraction: float) -> None:
    """A progress that nobody listens to."""


def download(server: DriveServer, file_id: str, target: Path, policy: RetryPolicy = QUICK) -> DriveFile:
    """Download a file, and return what Drive said of it before."""
    api = api_for(server, policy)
    file = api.file(file_id)
    api.download(file, target, unheard, never)
    return file


def export(server: DriveServer, file_id: str, mime_type: str, target: Path) -> None:
    """Export a file."""
    api = api_for(server)
    api.export(api.file(file_id), mime_type, target, unheard, never)


def write_json(path: Path, data: object) -> Path:
    """Write what Google gives out as a file."""
    path.write_text(json.dumps(data))
    return path


def nothing_below(folder: Path) -> bool:
    """Return whether the folder is empty."""
    return not any(folder.iterdir())
