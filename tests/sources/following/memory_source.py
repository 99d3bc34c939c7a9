"""A source in memory that simulates downloads, and a pipeline that follows it."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rag_pipeline.common.config import RunMode
from rag_pipeline.ingest.types import ProgressCallback
from rag_pipeline.sources.following.deletion_brake import DEFAULT_BRAKE, BrakeSettings
from rag_pipeline.sources.following.pipeline import FollowingPipeline
from rag_pipeline.sources.source import (
    ChangeWatcher,
    Check,
    FoundFile,
    OpenFile,
    Snapshot,
    SourceUnavailableError,
    Unreadable,
    open_local,
)
from rag_pipeline.status.control import Action, Control
from tests.sources.life import Life
from tests.sources.memory_stages import MemoryStages, MemoryStore


class MemorySource:
    """Files by id: name, text and a version that rises with each change of the text.

    ``down`` is raised by scans and downloads, ``errors`` (by file id) by downloads. While ``hold`` is not set downloads
    stay at 0.5, while ``hold_scan`` is not set scans go on. The files in ``definite`` are surely gone if missing.
    """

    kind = "google_drive"
    transfers = True
    settle_seconds = 0.0

    def __init__(self, folder: Path) -> None:
        self.location = "Papers"
        self.status_fields: Mapping[str, object] = {"folder": "Papers"}
        self.files: dict[str, FoundFile] = {}
        self.texts: dict[str, str] = {}
        self.unreadable: dict[str, Unreadable] = {}
        self.down: SourceUnavailableError | None = None
        self.errors: dict[str, Exception] = {}
        self.hold, self.holding = threading.Event(), threading.Event()
        self.hold_scan, self.scan_held = threading.Event(), threading.Event()
        self.hold.set()
        self.hold_scan.set()
        self.scans = self.rechecks = 0
        self.definite: set[str] = set()
        self.fetched: list[str] = []
        self._folder = folder
        self._versions = 0

    def write(self, file_id: str, text: str, name: str | None = None, **fields: Any) -> None:
        """Add a file or change its text; the name stays unless it is given."""
        self._versions += 1
        known = self.files.get(file_id)
        name = name or (known.name if known else f"{file_id}.txt")
        uri = f"https://example.org/{file_id}"
        self.texts[file_id] = text
        self.files[file_id] = FoundFile(file_id, name, uri, len(text), 1.0, f"v{self._versions}", **fields)

    def rename(self, file_id: str, name: str) -> None:
        self.files[file_id] = self.files[file_id]._replace(name=name)

    def remove(self, file_id: str) -> None:
        self.files.pop(file_id, None)

    def recheck_root(self) -> None:
        self.rechecks += 1

    def scan(self, check: Check) -> Snapshot:
        self.scans += 1
        while not self.hold_scan.wait(0.01):
            self.scan_held.set()
            check()
        check()
        self._raise_if_down()
        return Snapshot(
            dict(self.files), dict(self.unreadable), lambda _: False, "identity", self.definite.__contains__
        )

    @contextmanager
    def fetch(self, file: FoundFile, on_progress: ProgressCallback, check: Check) -> Iterator[OpenFile]:
        on_progress(0.0)
        while not self.hold.wait(0.01):
            self.holding.set()
            check()
            on_progress(0.5)
        self._raise_if_down()
        if file.file_id in self.errors:
            raise self.errors[file.file_id]
        if file.file_id not in self.files:
            raise FileNotFoundError(2, "gone", file.name)
        self.fetched.append(file.file_id)
        with tempfile.TemporaryDirectory(dir=self._folder) as own:
            path = Path(own) / file.name
            path.write_text(self.texts[file.file_id])
            with open_local(str(path)) as content:
                yield content

    def version_now(self, file: FoundFile) -> str:
        try:
            return self.files[file.file_id].version
        except KeyError:
            raise FileNotFoundError(2, "gone", file.name) from None

    def watch(self, wake: Callable[[], None], stop: threading.Event) -> ChangeWatcher | None:
        return None

    def _raise_if_down(self) -> None:
        if self.down is not None:
            raise self.down


class Following(Life):
    """A pipeline that follows ``source`` on its own thread; ``interval`` is in seconds."""

    pipeline: FollowingPipeline

    def __init__(
        self, base: Path, store: MemoryStore, *, single: bool, workers: int, interval: float, brake: BrakeSettings
    ) -> None:
        super().__init__("google_drive", base / "state")
        (base / "fetched").mkdir(exist_ok=True)
        self.base = base
        self.source = MemorySource(base / "fetched")
        self.test = MemoryStages(store)
        self.store = store
        self.pipeline = FollowingPipeline(
            self.status, self.source, self.test.stages, self.ledger,
            collection="scope", mode=RunMode.SINGLE if single else RunMode.CONTINUOUS,
            check_interval_seconds=interval, workers=workers, brake=brake,
        )  # fmt: skip

    @property
    def control(self) -> Control:
        assert self.status.control is not None
        return self.status.control

    def ask(self, action: Action, file_id: str | None = None) -> None:
        self.control.ask(action, file_id)

    def wait_status(self, word: str) -> None:
        self.wait(lambda: bool(self.state()["status"] == word))

    def wait_scan(self) -> None:
        """Request a scan and wait until one that began after this call has ended."""
        scans, checked = self.source.scans, self.state()["last_check_time"]
        self.ask(Action.CHECK)
        self.wait(lambda: self.source.scans > scans and self.state()["last_check_time"] != checked)

    def wait_held(self) -> None:
        """Wait until a download is held."""
        self.source.holding.clear()
        assert self.source.holding.wait(self.seconds)

    def in_flight(self) -> dict[str, tuple[str, int]]:
        """Return stage and attempt of each file in flight, by id."""
        return {file["id"]: (file["stage"], file["attempt"]) for file in self.state()["files_processing"]}

    def end(self) -> None:
        super().end()
        assert list((self.base / "fetched").iterdir()) == []


@contextmanager
def following(
    base: Path,
    store: MemoryStore | None = None,
    *,
    single: bool = False,
    workers: int = 2,
    interval: float = 0.3,
    start: bool = True,
    brake: BrakeSettings = DEFAULT_BRAKE,
) -> Iterator[Following]:
    """Run the pipeline while the block runs."""
    run = Following(
        base, MemoryStore() if store is None else store,
        single=single, workers=workers, interval=interval, brake=brake,
    )  # fmt: skip
    with run.lived(start=start):
        yield run
