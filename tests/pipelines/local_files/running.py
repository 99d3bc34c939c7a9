"""A pipeline over a folder, in this process, with the stages in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rag_pipeline.config import RunMode
from rag_pipeline.pipelines.ledger import Ledger, Row
from rag_pipeline.pipelines.local_files.pipeline import LocalFilesPipeline
from rag_pipeline.pipelines.local_files.settings import LocalFilesSettings
from rag_pipeline.status import PipelineStatus
from tests.pipelines.parts import MemoryStore, TestParts
from tests.watching import Recorder, wait_until

SECONDS = 20.0


class Run:
    """One life of the pipeline: its folder, state and store may outlive it."""

    def __init__(self, base: Path, store: MemoryStore, *, single: bool, recipe: str, state: str) -> None:
        self.folder = base / "docs"
        self.folder.mkdir(exist_ok=True)
        state_dir = base / state
        state_dir.mkdir(exist_ok=True)
        mode = RunMode.SINGLE if single else RunMode.CONTINUOUS
        self.settings = LocalFilesSettings(str(self.folder.resolve()), state_dir, mode, 0.3, 0.2)
        self.test = TestParts(store, recipe=recipe)
        self.store = self.test.store
        self.status = PipelineStatus("local_files", f"run-{id(self)}")
        self.seen = Recorder()
        self.status.attach(self.seen)
        self.ledger = Ledger(state_dir, "scope")
        self.stop = threading.Event()
        self.error: Exception | None = None
        self.pipeline = LocalFilesPipeline(self.status, self.settings, self.test.parts, self.ledger, scope="scope")
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            self.pipeline.run(self.stop)
        except Exception as error:  # noqa: BLE001 - for the test to look at
            self.error = error

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def state(self) -> dict[str, Any]:
        return self.status.get()

    def rows(self) -> dict[str, Row]:
        return self.ledger.rows()

    def wait(self, condition: Callable[[], bool]) -> None:
        wait_until(lambda: self.error is not None or condition(), SECONDS)
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
        self.status.close()


@contextmanager
def running(
    base: Path,
    store: MemoryStore | None = None,
    *,
    single: bool = False,
    recipe: str = "r1",
    state: str = "state",
    start: bool = True,
) -> Iterator[Run]:
    """Run the pipeline over ``base/docs``; in single mode wait for its end."""
    run = Run(base, MemoryStore() if store is None else store, single=single, recipe=recipe, state=state)
    if start:
        run.thread.start()
    try:
        if single and start:
            run.thread.join(SECONDS)
            assert not run.thread.is_alive()
        yield run
    finally:
        if run.thread.ident is not None:
            run.end()
