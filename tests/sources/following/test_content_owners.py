from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from rag_pipeline.errors import EmbeddingError
from rag_pipeline.sources.following import circuit_breakers
from rag_pipeline.sources.following.content_owners import ContentOwners, Deferred, StoredCopy
from rag_pipeline.sources.following.jobs import ContentHash, Ingest, Job
from rag_pipeline.sources.following.records import Records
from rag_pipeline.sources.ledger import Ledger, LedgerRow, Outcome
from rag_pipeline.sources.source import FoundFile
from rag_pipeline.sources.worker_pool import WorkerPool
from tests.sources.following.memory_source import following
from tests.sources.memory_stages import MemoryStore

ONE = ContentHash("f1", 3)


def found(key: str, name: str | None = None) -> FoundFile:
    return FoundFile(key, name or f"{key}.txt", f"file:///{key}", 3, 1.0, "v")


class Bench:
    """Stored files with one content, and a pool without threads."""

    def __init__(self, folder: Path, *stored: str) -> None:
        self.pool: WorkerPool[Job] = WorkerPool(lambda *_: None, threads=0, name="owners", on_change=lambda: None)
        known = {key: LedgerRow("v", Outcome.STORED, "f1", name=f"{key}.txt") for key in stored}
        self.ledger = Ledger(folder, "scope")
        self.records = Records(self.ledger, known, dict.fromkeys(stored, "f1"), {}, self.pool.lock)
        self.owners = ContentOwners(self.records, self.pool)

    def begin(self, *keys: str) -> None:
        self.pool.replace_pending(lambda _: {key: Ingest(found(key)) for key in keys})
        while self.pool.take_next(lambda _: True) is not None:
            pass


def test_a_missing_file_moves_once_and_a_third_file_waits_for_the_move(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "a")
    bench.owners.missing = {"a"}
    bench.begin("b", "c")
    moved = bench.owners.find(found("b"), ONE)
    assert moved == StoredCopy("a", moves=True)
    assert bench.pool.is_busy("a")
    assert bench.owners.find(found("c"), ONE) == Deferred("a")
    bench.pool.release("c")
    assert (bench.pool.pending, bench.pool.has("c")) == (0, True)
    assert isinstance(moved, StoredCopy)
    bench.owners.release(moved)
    assert bench.pool.take_next(lambda _: True) == ("c", Ingest(found("c"), ONE))


def test_a_file_that_others_copy_from_does_not_move_away(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "a")
    copied = bench.owners.find(found("b"), ONE)
    assert copied == StoredCopy("a", moves=False)
    bench.owners.missing = {"a"}
    assert bench.owners.find(found("c"), ONE) == copied
    assert isinstance(copied, StoredCopy)
    bench.owners.release(copied)
    bench.owners.release(copied)
    assert bench.owners.find(found("d"), ONE) == StoredCopy("a", moves=True)


def test_files_wait_for_a_content_that_is_being_ingested_unless_the_suffix_differs(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.begin("a", "b", "c")
    assert bench.owners.find(found("a"), ONE) is None
    assert bench.owners.find(found("a"), ONE) is None  # a file does not wait for itself
    assert bench.owners.find(found("b"), ONE) == Deferred("a")
    assert bench.owners.find(found("c", "c.md"), ONE) is None
    bench.owners.end_ingesting("a")
    assert bench.owners.find(found("c"), ONE) is None


# -- in a pipeline -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_one_content_under_many_names_is_embedded_once(tmp_path: Path, workers: int) -> None:
    with following(tmp_path, workers=workers, start=False) as run:
        for number in range(30):
            run.source.write(f"f{number:02}", "the same")
        run.thread.start()
        run.wait_idle(processed=30)
        assert run.test.embedder.embedded == 1
        assert set(run.store.texts()) == {f"f{number:02}" for number in range(30)}
        assert sorted(set(run.source.fetched)) == sorted(run.source.fetched)


@pytest.mark.slow
def test_a_deferred_file_blocks_no_worker(tmp_path: Path) -> None:
    go = threading.Event()
    with following(tmp_path, workers=2, start=False) as run:
        for key in "abcde":
            run.source.write(key, "the same")
        run.source.write("z", "another")
        plain = run.test.embedder.embed

        def embed(texts: list[str], **options: Any) -> Any:
            assert texts != ["the same"] or go.wait(60)
            return plain(texts, **options)

        run.test.embedder.embed = embed  # type: ignore[assignment,method-assign]
        run.thread.start()
        try:
            run.wait(lambda: run.state()["total_processed"] == 1)
            assert list(run.store.texts()) == ["z"]
            run.wait(lambda: run.state()["files_in_flight"] + run.state()["files_queued"] == 5)
        finally:
            go.set()
        run.wait_idle(processed=6)
        assert run.test.embedder.embedded == 2


def test_if_the_first_file_fails_the_next_is_ingested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(circuit_breakers, "FIRST_WAIT_SECONDS", 0.05)
    failed = threading.Event()
    with following(tmp_path, workers=2, start=False) as run:

        def fail() -> None:
            if not failed.is_set():
                failed.set()
                raise EmbeddingError("the endpoint is away")

        run.test.embedder.before = fail
        for key in "abc":
            run.source.write(key, "the same")
        run.thread.start()
        run.wait_idle(processed=3)
        assert (failed.is_set(), run.test.embedder.embedded, len(run.store.kept)) == (True, 1, 3)


def test_a_pipeline_with_deferred_files_can_be_stopped_and_restarted(tmp_path: Path) -> None:
    store = MemoryStore()
    with following(tmp_path, store, start=False) as run:
        for key in "abc":
            run.source.write(key, "the same")
        run.test.extractor.hold.clear()
        run.thread.start()
        assert run.test.extractor.holding.wait(20)
        run.end()
        assert store.kept == {}
    with following(tmp_path, store, start=False) as again:
        for key in "abc":
            again.source.write(key, "the same")
        again.thread.start()
        again.wait(lambda: len(store.kept) == 3)
        again.wait_status("idle")
