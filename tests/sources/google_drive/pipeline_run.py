"""Runs a pipeline over a folder of the fake Drive, in this process, with in-memory stages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rag_pipeline.common.config import RunMode
from rag_pipeline.sources.following.pipeline import FollowingPipeline
from rag_pipeline.sources.google_drive.api import DriveApi
from rag_pipeline.sources.google_drive.auth.credentials import read_credentials
from rag_pipeline.sources.google_drive.download_folder import DownloadFolder
from rag_pipeline.sources.google_drive.mirror import Mirror
from rag_pipeline.sources.google_drive.source import GoogleDriveSource
from rag_pipeline.sources.google_drive.transport.retry import RetryPolicy
from tests.drive import DriveServer
from tests.sources.google_drive.support import LIMIT_BYTES, QUICK_SCAN
from tests.sources.life import Life
from tests.sources.memory_stages import MemoryStages, MemoryStore


class PipelineRun(Life):
    """One run of the pipeline; its Drive, state and store may outlive it."""

    seconds = 30.0

    def __init__(
        self,
        base: Path,
        server: DriveServer,
        folder_id: str,
        store: MemoryStore,
        *,
        single: bool = False,
        workers: int = 4,
        policy: RetryPolicy = QUICK_SCAN,
        interval_seconds: float = 0.2,
    ) -> None:
        state = base / "state"
        super().__init__("google_drive", state)
        self.server = server
        self.store = store
        self.test = MemoryStages(store, limit=LIMIT_BYTES)
        self.mirror = Mirror(state / "mirror.sqlite3")
        access = read_credentials({"GOOGLE_DRIVE_CREDENTIALS_JSON": json.dumps(server.service_account())}, state)
        self._session = access.open_session(server.url)
        api = DriveApi(self._session, base_url=server.url, policy=policy, stop=self.stop)
        self.downloads = DownloadFolder(state / "downloads")
        source = GoogleDriveSource(
            api,
            self.mirror,
            self.downloads,
            folder_id,
            location="Papers",
            account=access.account,
            limit_bytes=LIMIT_BYTES,
        )
        self.pipeline = FollowingPipeline(
            self.status, source, self.test.stages, self.ledger,
            collection="scope", mode=RunMode.SINGLE if single else RunMode.CONTINUOUS,
            check_interval_seconds=interval_seconds, workers=workers,
        )  # fmt: skip

    def end(self) -> None:
        super().end()
        self.mirror.close()
        self._session.close()
        assert list(self.downloads.folder.iterdir()) == []


@contextmanager
def run_pipeline(
    base: Path,
    server: DriveServer,
    folder_id: str,
    store: MemoryStore | None = None,
    *,
    start: bool = True,
    **settings: Any,
) -> Iterator[PipelineRun]:
    """Run the pipeline over the folder; in single mode, wait until it ends."""
    run = PipelineRun(base, server, folder_id, MemoryStore() if store is None else store, **settings)
    with run.lived(start=start, to_its_end=bool(settings.get("single"))):
        yield run
