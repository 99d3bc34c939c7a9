"""Batches of deletions, moves and copies: what a worker takes together, and what becomes of it when the store fails."""

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
    """Some files that are stored, with the fingerprint f1, and a pool without threads."""

    def __init__(self, folder: Path, *stored: str) -> None:
        self.status = PipelineStatus("google_drive", f"batches-{id(self)}")
        self.seen = Recorder()
        core_of(self.status).attach(self.seen)
        self.store = RefusingStore()
        self.pool: WorkerPool[Job] = WorkerPool(lambda *_: None, threads=0, name="batches", on_change=lambda: None)
        self.breakers = CircuitBreakers()
        self.ledger = Ledger(folder, "scope")
        known = {key: LedgerRow("v", Outcome.STORED, "f1", "r1", name=f"{key}.txt") for key in stored}
        self.ledger.replace_all(known)
        for key in stored:
            self.store.kept["scope", key] = (source_file(key), ["text"])
        self.records = Records(self.ledger, known, dict.fromkeys(stored, "f1"), {}, self.pool.lock)
        self.owners = ContentOwners(self.records, self.pool)
        parts = MemoryStages(self.store).stages
        ingestion = Ingestion(self.status, parts, MemorySource(folder), "scope", threading.Event())
        self.batches = BulkChanges(ingestion, self.store, "scope", "r1", self.records, self.breakers, self.owners)

    def hand(self, *jobs: DeleteFile | Ingest) -> JobBatch:
        """Return a hand with the first of the jobs; the others are next."""
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


def forget(bench: Bench, *keys: str) -> JobBatch:
    hand = bench.hand(*map(DeleteFile, keys))
    bench.batches.delete(hand, {})
    return hand


def test_files_to_forget_are_taken_together_and_each_is_told_once(bench: Bench) -> None:
    hand = forget(bench, "a", "b", "c", "never known")
    assert (hand.jobs, bench.pool.pending, bench.store.commits) == ({}, 0, 1)
    assert list(bench.store.texts()) == list(bench.ledger.rows()) == ["d", "e"]
    assert bench.names() == ["deleted"] * 4


def test_no_more_are_taken_than_a_batch_has_and_nothing_else(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_changes, "MAX_DELETED", 2)
    forget(bench, "a", "b", "c")
    assert (bench.pool.pending, list(bench.store.texts())) == (1, ["c", "d", "e"])
    hand = bench.hand(DeleteFile("c"), Ingest(found("x")), DeleteFile("d"))
    bench.batches.delete(hand, {})
    assert (bench.pool.pending, list(bench.store.texts())) == (2, ["d", "e"])


def test_a_batch_that_alone_fails_is_done_file_by_file_and_names_the_one_to_blame(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.store.refused = "b"
    for _ in range(3):
        assert forget(bench, "a", "b", "c").put_back_first  # put back, and so are the others
        assert bench.pool.pending == 2
        bench.breakers.succeeded(STORE_DEPENDENCY, "x")  # others pass
    assert bench.names() == []
    for key in "abc":
        forget(bench, key, *(other for other in "abc" if other > key))
    assert list(bench.store.texts()) == ["b", "d", "e"]
    for _ in range(2):
        bench.breakers.succeeded(STORE_DEPENDENCY, "x")
        hand = forget(bench, "b")
    assert not hand.put_back_first
    assert "b.txt is gone, but its text is still stored" in caplog.records[-1].getMessage()
    assert caplog.records[-1].levelno == logging.WARNING
    assert list(bench.ledger.rows()) == ["b", "d", "e"]


def test_gathered_files_are_stored_together_and_shown_after_it(bench: Bench) -> None:
    bench.owners.missing = {"a", "b"}
    hand = bench.hand(Ingest(found("x")), Ingest(found("y")), Ingest(found("z")))
    with ReuseBatch(bench.batches, hand) as gathering:
        taken: Any = ("x", Ingest(found("x")))
        while taken is not None:
            result = gathering.add(taken[1].file, ONE)
            assert result is not None
            assert result.end is IngestEnd.REUSED
            taken = gathering.take_next()
        assert (bench.names(), len(hand.jobs)) == ([], 3)
        gathering.apply()
    assert set(bench.store.texts()) == {"c", "d", "e", "x", "y", "z"}  # two have moved, one is a copy
    assert set(bench.ledger.rows()) == bench.records.rows.keys() == set(bench.store.texts())
    assert sorted(bench.names()) == ["completed"] * 3 + ["deleted"] * 2 + ["processing_started"] * 3
    assert (hand.jobs, bench.pool.busy, bench.pool.pending) == ({}, 0, 0)


def test_what_was_gathered_is_let_go_if_the_work_breaks_off(bench: Bench) -> None:
    bench.owners.missing = {"a"}
    hand = bench.hand(Ingest(found("x")))
    with ReuseBatch(bench.batches, hand) as gathering:
        gathering.add(found("x"), ONE)
        assert bench.pool.is_busy("a")
    assert not bench.pool.is_busy("a")


def test_a_file_whose_twin_has_left_the_store_takes_its_text_from_another(bench: Bench) -> None:
    hand = bench.hand(Ingest(found("x")))
    with ReuseBatch(bench.batches, hand) as gathering:
        gathering.add(found("x"), ONE)
        del bench.store.kept["scope", "a"]
        gathering.apply()
    assert (hand.put_back_first, bench.names()) == (True, [])
    del bench.store.kept["scope", "b"]  # is being removed: the records still have it
    with ReuseBatch(bench.batches, bench.hand(Ingest(found("x")))) as gathering:
        assert gathering.add(found("x"), ONE) is not None
        gathering.apply()
    assert list(bench.store.texts()) == ["c", "d", "e", "x"]


def test_a_copy_of_a_file_that_was_renamed_meanwhile_counts(bench: Bench) -> None:
    hand = bench.hand(Ingest(found("x")))
    with ReuseBatch(bench.batches, hand) as gathering:
        gathering.add(found("x"), ONE)
        bench.store.rename("scope", "a", "new.txt", "file:///new")
        gathering.apply()
    assert (hand.put_back_first, "x" in bench.ledger.rows()) == (False, True)


def test_a_file_whose_twins_have_all_left_the_store_is_put_back_and_then_read(bench: Bench) -> None:
    hand = bench.hand(Ingest(found("x")))
    with ReuseBatch(bench.batches, hand) as gathering:
        gathering.add(found("x"), ONE)
        bench.store.kept.clear()
        gathering.apply()
    assert (hand.put_back_first, bench.names()) == (True, [])
    with ReuseBatch(bench.batches, bench.hand(Ingest(found("x")))) as gathering:
        assert gathering.add(found("x"), ONE) is None


def test_a_twin_that_the_store_has_with_another_content_is_none(bench: Bench) -> None:
    bench.store.kept.clear()
    with ReuseBatch(bench.batches, bench.hand(Ingest(found("x")))) as gathering:
        assert gathering.add(found("x"), ONE) is None
