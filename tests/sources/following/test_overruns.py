"""Files that use up the time limit of extraction: they come last, one at a time, and not at each start."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from rag_pipeline.errors import ExtractionLimitError
from rag_pipeline.ingest.types import ExtractedDocument, ProgressCallback
from rag_pipeline.sources.ledger import Ledger
from tests.sources.following.memory_source import Following, following
from tests.sources.memory_stages import MemoryStore

pytestmark = pytest.mark.slow

SLOW = ("slow1", "slow2", "slow3", "slow4")


def overrun() -> ExtractionLimitError:
    error = ExtractionLimitError("took longer than 120 seconds to read")
    error.of_content, error.overran = False, True
    return error


def fail_slow(run: Following, wait: Callable[[str], object] = lambda _: None) -> list[str]:
    """Make files named slow overrun after ``wait``; return the list of extracted files."""
    plain, read = run.test.extractor.extract, list[str]()

    def extract(
        path: str, *, on_progress: ProgressCallback | None = None, descriptor: int | None = None
    ) -> ExtractedDocument:
        name = Path(path).stem
        read.append(name)
        if name.startswith("slow"):
            wait(name)
            raise overrun()
        return plain(path, on_progress=on_progress, descriptor=descriptor)

    run.test.extractor.extract = extract  # type: ignore[method-assign]
    return read


def test_a_file_that_overran_is_not_extracted_at_the_next_start(tmp_path: Path) -> None:
    store = MemoryStore()
    with following(tmp_path, store, start=False) as run:
        read = fail_slow(run)
        for key in (*SLOW, "good"):
            run.source.write(key, key)
        run.thread.start()
        run.wait_idle(processed=1)
        assert sorted(read) == ["good", *SLOW]
    with following(tmp_path, store, start=False) as run:
        read = fail_slow(run)
        for key in (*SLOW, "good", "new"):
            run.source.write(key, key)
        run.thread.start()
        run.wait(lambda: store.texts().keys() == {"good", "new"})
        run.wait(lambda: run.state()["status"] == "idle")
        assert read == ["new"]


def test_a_due_file_that_overran_leaves_the_other_worker_to_the_rest(tmp_path: Path) -> None:
    store = MemoryStore()
    with following(tmp_path, store, start=False) as run:
        fail_slow(run)
        for key in SLOW:
            run.source.write(key, key)
        run.thread.start()
        run.wait(lambda: len(run.state()["files_failed"]) == len(SLOW))
    with Ledger(tmp_path / "state", "scope") as ledger:
        for key, row in ledger.rows().items():
            ledger.put(key, row._replace(retry_at=0.0))
    go, under_way = threading.Event(), set[str]()
    with following(tmp_path, store, workers=2, start=False) as run:

        def wait(name: str) -> None:
            under_way.add(name)
            go.wait(60)

        fail_slow(run, wait)
        for key in (*SLOW, "a", "z"):
            run.source.write(key, key)
        run.thread.start()
        run.wait(lambda: store.texts().keys() == {"a", "z"} and bool(under_way))
        assert len(under_way) == 1
        go.set()
        run.wait(lambda: run.state()["status"] == "idle")
        assert under_way == set(SLOW)
