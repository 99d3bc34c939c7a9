"""One run of a pipeline in this process, on its own thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from rag_pipeline.sources.ledger import Ledger, LedgerRow
from rag_pipeline.status.model import FileTotals
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from tests.support.recorder import Recorder
from tests.support.waiting import wait_until


class Runs(Protocol):
    def run(self, stop: threading.Event) -> None: ...


class Life:
    """A run of a pipeline, which a subclass builds. Its state folder may outlive it."""

    seconds = 20.0  # the longest wait
    pipeline: Runs

    def __init__(self, kind: str, state_dir: Path) -> None:
        state_dir.mkdir(parents=True, exist_ok=True)
        self.status = PipelineStatus(kind, f"run-{id(self)}")
        self.seen = Recorder()
        core_of(self.status).attach(self.seen)
        self.ledger = Ledger(state_dir, "scope")
        self.stop = threading.Event()
        self.error: Exception | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            self.pipeline.run(self.stop)
        except Exception as error:  # noqa: BLE001 - for the test to look at
            self.error = error

    def state(self) -> dict[str, Any]:
        return self.status.get()

    def rows(self) -> dict[str, LedgerRow]:
        return self.ledger.rows()

    def wait(self, condition: Callable[[], bool], seconds: float | None = None) -> None:
        limit = self.seconds if seconds is None else seconds
        wait_until(lambda: self.error is not None or condition(), seconds=limit)
        assert self.error is None, self.error

    def wait_idle(self, processed: int) -> None:
        """Wait until it is idle and has completed ``processed`` attempts."""
        self.wait(lambda: self.state()["status"] == "idle" and self.attempts().total_processed == processed)

    def attempts(self) -> FileTotals:
        """Return the outcomes of all attempts of this run; the totals of the state count each file once."""
        return core_of(self.status).snapshot().attempts

    def files(self, name: str) -> list[dict[str, Any]]:
        """Return the files of the events with this name."""
        return [event.payload()["file"] for event in self.seen.events if event.name == f"pipeline:file_{name}"]

    def ended(self, name: str) -> list[str]:
        """Return the ids of the files of the events with this name."""
        return [file["id"] for file in self.files(name)]

    def wait_over(self) -> None:
        """Wait until it has ended."""
        self.thread.join(self.seconds)
        assert not self.thread.is_alive()

    def end(self) -> None:
        self.stop.set()
        self.wait_over()
        self.ledger.close()
        self.status.close()

    @contextmanager
    def lived(self, *, start: bool, to_its_end: bool = False) -> Iterator[None]:
        """Run it during the block; with ``to_its_end`` the block starts when it has ended."""
        if start:
            self.thread.start()
        try:
            if to_its_end and start:
                self.wait_over()
            yield
        finally:
            if self.thread.ident is not None:
                self.end()
