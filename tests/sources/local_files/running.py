"""A local_files pipeline in this process, with stages in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rag_pipeline.common.config import RunMode
from rag_pipeline.sources.following.deletion_brake import DEFAULT_BRAKE, BrakeSettings
from rag_pipeline.sources.local_files.pipeline import LocalFilesPipeline
from rag_pipeline.sources.local_files.settings import LocalFilesSettings
from tests.sources.life import Life
from tests.sources.memory_stages import MemoryStages, MemoryStore


class Run(Life):
    """One run of the pipeline; its folder, state and store may outlive it."""

    def __init__(
        self,
        base: Path,
        store: MemoryStore,
        *,
        single: bool,
        config_hash: str,
        state: str,
        settle_seconds: float,
        brake: BrakeSettings,
        follow_outside_links: bool = False,
    ) -> None:
        super().__init__("local_files", base / state)
        self.folder = base / "docs"
        self.folder.mkdir(exist_ok=True)
        mode = RunMode.SINGLE if single else RunMode.CONTINUOUS
        self.settings = LocalFilesSettings(
            str(self.folder.resolve()),
            base / state,
            mode,
            0.3,
            settle_seconds,
            follow_outside_links=follow_outside_links,
            brake=brake,
        )
        self.test = MemoryStages(store, config_hash=config_hash)
        self.store = self.test.store
        self.pipeline = LocalFilesPipeline(
            self.status, self.settings, self.test.stages, self.ledger, collection="scope"
        )

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


@contextmanager
def running(
    base: Path,
    store: MemoryStore | None = None,
    *,
    single: bool = False,
    config_hash: str = "r1",
    state: str = "state",
    start: bool = True,
    settle_seconds: float = 0.2,
    brake: BrakeSettings = DEFAULT_BRAKE,
    follow_outside_links: bool = False,
) -> Iterator[Run]:
    """Run the pipeline over ``base/docs`` while the block runs; in single mode wait for its end first."""
    store = MemoryStore() if store is None else store
    run = Run(
        base,
        store,
        single=single,
        config_hash=config_hash,
        state=state,
        settle_seconds=settle_seconds,
        brake=brake,
        follow_outside_links=follow_outside_links,
    )
    with run.lived(start=start, to_its_end=single):
        yield run
