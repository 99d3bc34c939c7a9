"""A pipeline over a folder of the tests' Drive, in this process, with the stages in memory."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rag_pipeline.config import RunMode
from rag_pipeline.pipelines.following.pipeline import FollowingPipeline
from rag_pipeline.pipelines.google_drive.api import DriveApi
from rag_pipeline.pipelines.google_drive.auth import read_access
from rag_pipeline.pipelines.google_drive.mirror import Mirror
from rag_pipeline.pipelines.google_drive.retry import RetryPolicy
from rag_pipeline.pipelines.google_drive.source import GoogleDriveSource
from rag_pipeline.pipelines.google_drive.spool import Spool
from rag_pipeline.pipelines.ledger import Ledger, Row
from rag_pipeline.status import PipelineStatus
from tests.drive import DriveServer
from tests.pipelines.google_drive.driving import LIMIT_BYTES, QUICK
from tests.pipelines.parts import MemoryStore, TestParts
from tests.watching import Recorder, wait_until

SECONDS = 30.0


class Run:
    """One life of the pipeline: its Drive, state and store may outlive it."""

    def __init__(
        self,
        base: Path,
        server: DriveServer,
        folder_id: str,
        store: MemoryStore,
        *,
        single: bool = False,
        workers: int = 4,
        policy: RetryPolicy = QUICK,
        interval_seconds: float = 0.2,
    ) -> None:
        state = base / "state"
        state.mkdir(exist_ok=True)
        self.server = server
        self.store = store
        self.test = TestParts(store, limit=LIMIT_BYTES)
        self.status = PipelineStatus("google_drive", f"run-{id(self)}")
        self.seen = Recorder()
        self.status.attach(self.seen)
        self.stop = threading.Event()
        self.error: Exception | None = None
        self.ledger = Ledger(state, "scope")
        self.mirror = Mirror(state / "mirror.sqlite3")
        access = read_access({"GOOGLE_DRIVE_CREDENTIALS_JSON": json.dumps(server.service_account())}, state)
        self._session = access.open_session(server.url)
        api = DriveApi(self._session, base_url=server.url, policy=policy, stop=self.stop)
        self.spool = Spool(state / "downloads")
        source = GoogleDriveSource(
            api, self.mirror, self.spool, folder_id, place="Papers", account=access.who, limit_bytes=LIMIT_BYTES
        )
        self.pipeline = FollowingPipeline(
            self.status, source, self.test.parts, self.ledger,
            scope="scope", mode=RunMode.SINGLE if single else RunMode.CONTINUOUS,
            check_interval_seconds=interval_seconds, workers=workers,
        )  # fmt: skip
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            self.pipeline.run(self.stop)
        except Exception as error:  # noqa: BLE001 - for the test to look at
            self.error = error

    def state(self) -> dict[str, Any]:
        return self.status.get()

    def rows(self) -> dict[str, Row]:
        return self.ledger.rows()

    def wait(self, condition: Callable[[], bool], seconds: float = SECONDS) -> None:
        wait_until(lambda: self.error is not None or condition(), seconds)
        assert self.error is None, self.error

    def wait_idle(self, processed: int) -> None:
        self.wait(lambda: (s := self.state())["status"] == "idle" and s["total_processed"] == processed)

    def ended(self, name: str) -> list[str]:
        """Return the ids of the files of the events of this name."""
        return [event.payload()["file"]["id"] for event in self.seen.events if event.name == f"pipeline:file_{name}"]

    def end(self) -> None:
        self.stop.set()
        self.thread.join(SECONDS)
        assert not self.thread.is_alive()
        self.ledger.close()
        self.mirror.close()
        self._session.close()
        self.status.close()
        assert list(self.spool.folder.iterdir()) == []


@contextmanager
def running(
    base: Path,
    server: DriveServer,
    folder_id: str,
    store: MemoryStore | None = None,
    *,
    start: bool = True,
    **settings: Any,
) -> Iterator[Run]:
    """Run the pipeline over the folder; in single mode wait for its end."""
    run = Run(base, server, folder_id, MemoryStore() if store is None else store, **settings)
    if start:
        run.thread.start()
    try:
        if settings.get("single") and start:
            run.thread.join(SECONDS)
            assert not run.thread.is_alive()
        yield run
    finally:
        if run.thread.ident is not None:
            run.end()
