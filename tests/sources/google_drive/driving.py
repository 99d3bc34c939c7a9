"""What looks at the tests' Drive as a pipeline does, without the pipeline."""

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
from rag_pipeline.sources.google_drive.source import GoogleDriveSource
from rag_pipeline.sources.google_drive.transport.retry import RetryPolicy
from tests.drive import DriveServer

LIMIT_BYTES = 1 << 20
QUICK = RetryPolicy(
    attempts=8, base_seconds=0.002, cap_seconds=0.02, total_seconds=20.0, later_seconds=0.2, read_timeout_seconds=5.0
)
"""As in earnest, with waits that a test has time for."""


@contextmanager
def asking(server: DriveServer, policy: RetryPolicy = QUICK, stop: threading.Event | None = None) -> Iterator[DriveApi]:
    """Give access to the server, with the credentials of a service account."""
    access = read_credentials({"GOOGLE_DRIVE_CREDENTIALS_JSON": json.dumps(server.service_account())}, Path())
    with access.open_session(server.url) as session:
        yield DriveApi(session, base_url=server.url, policy=policy, stop=stop or threading.Event())


class Seeing:
    """A source over one folder, with its parts at hand."""

    def __init__(self, path: Path, api: DriveApi, mirror: Mirror, folder_id: str, limit_bytes: int) -> None:
        self.mirror = mirror
        self.spool = DownloadFolder(path / "downloads")
        self.source = GoogleDriveSource(
            api, mirror, self.spool, folder_id, location="the folder", account="me", limit_bytes=limit_bytes
        )

    def ids(self) -> set[str]:
        """Look, and return the ids of the files that are found."""
        return set(self.source.scan(go_on).files)

    def reasons(self) -> dict[str, str]:
        """Look, and return why what is left out is left out, by id."""
        return {key: odd.reason for key, odd in self.source.scan(go_on).unreadable.items()}


@contextmanager
def seeing(
    path: Path, server: DriveServer, folder_id: str, *, limit_bytes: int = LIMIT_BYTES, policy: RetryPolicy = QUICK
) -> Iterator[Seeing]:
    """Open a source; its mirror outlives it at ``path``."""
    with asking(server, policy) as api, Mirror(path / "mirror.sqlite3") as mirror:
        yield Seeing(path, api, mirror, folder_id, limit_bytes)


def go_on() -> None:
    """What is called when there is no reason to stop."""


class StopAfter:
    """Stops what checks it, at its check of this number."""

    def __init__(self, checks: int) -> None:
        self._left = checks

    def __call__(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise Stopped
