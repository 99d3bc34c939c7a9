from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rag_pipeline.errors import StoreError
from rag_pipeline.ingest.types import SourceFile
from rag_pipeline.sources.following import bulk_changes
from rag_pipeline.sources.following.bulk_changes import BulkChanges, ReuseBatch
from rag_pipeline.sources.following.circuit_breakers import CircuitBreakers
from rag_pipeline.sources.following.content_owners import ContentOwners
from rag_pipeline.sources.following.job_batch import JobBatch
from rag_pipeline.sources.following.jobs import ContentHash, DeleteFile, Ingest, Job
from rag_pipeline.sources.following.records import Records
from rag_pipeline.sources.ingest_result import STORE_DEPENDENCY, IngestEnd
from rag_pipeline.sources.ingestion import Ingestion
from rag_pipeline.sources.ledger import Ledger, LedgerRow, Outcome
from rag_pipeline.sources.source import FoundFile
from rag_pipeline.sources.worker_pool import WorkerPool
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from tests.sources.following.memory_source import MemorySource
from tests.sources.memory_stages import MemoryStages, MemoryStore
from tests.support.recorder import Recorder

ONE = ContentHash("f1", 3)


class RefusingStore(MemoryStore):
    """Refuses to delete one file, and counts the commits."""

    refused = ""
    commits = 0

    def delete_many(self, pipeline_id: str, file_ids: Iterable[str]) -> None:
        keys = list(file_ids)
        if self.refused in keys:
            raise StoreError(f"{self.refused} can't be removed")
        self.commits += 1
        super().delete_many(pipeline_id, keys)


class Bench:
    """Stored files with the fingerprint f1, and a pool without threads."""

    def __init__(self, folder: Path, *stored: str) -> None:
        self.status = PipelineStatus("google_drive", f"batches-{id(self)}")
        self.seen = Recorder()
        core_of(self.status).attach(self.seen)
        self.store = RefusingStore()
        self.pool: WorkerPool[Job] = WorkerPool(lambda *_: None, threads=0, name="changes", on_change=lambda: None)
        self.breakers = CircuitBreakers()
        self.ledger = Ledger(folder, "scope")
        known = {key: LedgerRow("v", Outcome.STORED, "f1", "r1", name=f"{key}.txt") for key in stored}
        self.ledger.replace_all(known)
        for key in stored:
            self.store.kept["scope", key] = (source_file(key), ["text"])
        self.records = Records(self.ledger, known, dict.fromkeys(stored, "f1"), {}, self.pool.lock)
        self.owners = ContentOwners(self.records, self.pool)
        stages = MemoryStages(self.store).stages
        ingestion = Ingestion(self.status, stages, MemorySource(folder), "scope", threading.Event())
        self.changes = BulkChanges(ingestion, self.store, "scope", "r1", self.records, self.breakers, self.owners)

    def batch(self, *jobs: DeleteFile | Ingest) -> JobBatch:
        """Return a batch with the first job; the others are pending."""
        keyed = {(job.file.file_id if isinstance(job, Ingest) else job.file_id): job for job in jobs}
        key = next(iter(keyed))
        first = keyed.pop(key)
        self.pool.replace_pending(lambda _: keyed)
        return JobBatch(self.pool, self.breakers, key, first)

    def names(self) -> list[str]:
        return [event.name.removeprefix("pipeline:file_") for event in self.seen.events if "file" in event.payload()]


def source_file(key: str) -> SourceFile:
    return SourceFile(key, f"{key}.txt", f"file:///{key}", "f1", 3, "text/plain", 1.0)


def found(key: str) -> FoundFile:
    return FoundFile(key, f"{key}.txt", f"file:///{key}", 3, 1.0, "v")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, *"abcde")
    yield made
    made.ledger.close()


def delete(bench: Bench, *keys: str) -> JobBatch:
    batch = bench.batch(*map(DeleteFile, keys))
    bench.changes.delete(batch, {})
    return batch


def test_deletions_are_done_together_and_each_is_reported_once(bench: Bench) -> None:
    batch = delete(bench, "a", "b", "c", "never known")
    assert (batch.jobs, bench.pool.pending, bench.store.commits) == ({}, 0, 1)
    assert list(bench.store.texts()) == list(bench.ledger.rows()) == ["d", "e"]
    assert bench.names() == ["deleted"] * 4


def test_a_batch_of_deletions_is_bounded_and_takes_only_deletions(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_changes, "MAX_DELETED", 2)
    delete(bench, "a", "b", "c")
    assert (bench.pool.pending, list(bench.store.texts())) == (1, ["c", "d", "e"])
    batch = bench.batch(DeleteFile("c"), Ingest(found("x")), DeleteFile("d"))
    bench.changes.delete(batch, {})
    assert (bench.pool.pending, list(bench.store.texts())) == (2, ["d", "e"])


def test_a_batch_that_fails_while_others_pass_is_done_file_by_file(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.store.refused = "b"
    for _ in range(3):
        assert delete(bench, "a", "b", "c").put_back_first  # and the others are put back too
        assert bench.pool.pending == 2
        bench.breakers.succeeded(STORE_DEPENDENCY, "x")  # others pass
    assert bench.names() == []
    for key in "abc":
        delete(bench, key, *(other for other in "abc" if other > key))
    assert list(bench.store.texts()) == ["b", "d", "e"]
    for _ in range(2):
        bench.breakers.succeeded(STORE_DEPENDENCY, "x")
        batch = delete(bench, "b")
    assert not batch.put_back_first
    assert "b.txt is gone, but its text is still stored" in caplog.records[-1].getMessage()
    assert caplog.records[-1].levelno == logging.WARNING
    assert list(bench.ledger.rows()) == ["b", "d", "e"]


def test_reused_files_are_stored_together_then_reported(bench: Bench) -> None:
    bench.owners.missing = {"a", "b"}
    batch = bench.batch(Ingest(found("x")), Ingest(found("y")), Ingest(found("z")))
    with ReuseBatch(bench.changes, batch) as reuses:
        taken: Any = ("x", Ingest(found("x")))
        while taken is not None:
            result = reuses.add(taken[1].file, ONE)
            assert result is not None
            assert result.end is IngestEnd.REUSED
            taken = reuses.take_next()
        assert (bench.names(), len(batch.jobs)) == ([], 3)
        reuses.apply()
    assert set(bench.store.texts()) == {"c", "d", "e", "x", "y", "z"}  # two were moved, one was copied
    assert set(bench.ledger.rows()) == bench.records.rows.keys() == set(bench.store.texts())
    assert sorted(bench.names()) == ["completed"] * 3 + ["deleted"] * 2 + ["processing_started"] * 3
    assert (batch.jobs, bench.pool.busy, bench.pool.pending) == ({}, 0, 0)


def test_reserved_files_are_released_if_the_worker_fails(bench: Bench) -> None:
    bench.owners.missing = {"a"}
    batch = bench.batch(Ingest(found("x")))
    with ReuseBatch(bench.changes, batch) as reuses:
        reuses.add(found("x"), ONE)
        assert bench.pool.is_busy("a")
    assert not bench.pool.is_busy("a")


def test_a_file_reuses_another_copy_if_the_first_has_left_the_store(bench: Bench) -> None:
    batch = bench.batch(Ingest(found("x")))
    with ReuseBatch(bench.changes, batch) as reuses:
        reuses.add(found("x"), ONE)
        del bench.store.kept["scope", "a"]
        reuses.apply()
    assert (batch.put_back_first, bench.names()) == (True, [])
    del bench.store.kept["scope", "b"]  # as during its deletion: the records still have it
    with ReuseBatch(bench.changes, bench.batch(Ingest(found("x")))) as reuses:
        assert reuses.add(found("x"), ONE) is not None
        reuses.apply()
    assert list(bench.store.texts()) == ["c", "d", "e", "x"]


def test_a_copy_is_valid_if_its_owner_was_only_renamed_meanwhile(bench: Bench) -> None:
    batch = bench.batch(Ingest(found("x")))
    with ReuseBatch(bench.changes, batch) as reuses:
        reuses.add(found("x"), ONE)
        bench.store.rename("scope", "a", "new.txt", "file:///new")
        reuses.apply()
    assert (batch.put_back_first, "x" in bench.ledger.rows()) == (False, True)


def test_a_file_without_a_stored_copy_left_is_put_back_and_then_ingested(bench: Bench) -> None:
    batch = bench.batch(Ingest(found("x")))
    with ReuseBatch(bench.changes, batch) as reuses:
        reuses.add(found("x"), ONE)
        bench.store.kept.clear()
        reuses.apply()
    assert (batch.put_back_first, bench.names()) == (True, [])
    with ReuseBatch(bench.changes, bench.batch(Ingest(found("x")))) as reuses:
        assert reuses.add(found("x"), ONE) is None


def test_a_stored_file_with_another_content_by_now_is_not_reused(bench: Bench) -> None:
    bench.store.kept.clear()
    with ReuseBatch(bench.changes, bench.batch(Ingest(found("x")))) as reuses:
        assert reuses.add(found("x"), ONE) is None
