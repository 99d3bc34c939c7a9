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
from rag_pipeline.sources.following import batches
from rag_pipeline.sources.following.batches import Batches, Gathering
from rag_pipeline.sources.following.breaker import Breakers
from rag_pipeline.sources.following.hand import Forget, Hand, Hashed, Job, Read
from rag_pipeline.sources.following.records import Records
from rag_pipeline.sources.following.source import FoundFile
from rag_pipeline.sources.following.twins import Twins
from rag_pipeline.sources.ingestion import STORE_DEPENDENCY, End, Ingestion
from rag_pipeline.sources.ledger import Ledger, Outcome, Row
from rag_pipeline.sources.worker_pool import WorkerPool
from rag_pipeline.status import PipelineStatus, core_of
from tests.sources.following.memory_source import MemorySource
from tests.sources.parts import MemoryStore, TestParts
from tests.watching import Recorder

ONE = Hashed("f1", 3)


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
    """Some files that are stored, with the fingerprint f1, and a crew without threads."""

    def __init__(self, folder: Path, *stored: str) -> None:
        self.status = PipelineStatus("google_drive", f"batches-{id(self)}")
        self.seen = Recorder()
        core_of(self.status).attach(self.seen)
        self.store = RefusingStore()
        self.crew: WorkerPool[Job] = WorkerPool(lambda *_: None, threads=0, name="batches", on_change=lambda: None)
        self.breakers = Breakers()
        self.ledger = Ledger(folder, "scope")
        known = {key: Row("v", Outcome.STORED, "f1", "r1", name=f"{key}.txt") for key in stored}
        self.ledger.reset(known)
        for key in stored:
            self.store.kept["scope", key] = (source_file(key), ["text"])
        self.records = Records(self.ledger, known, dict.fromkeys(stored, "f1"), {}, self.crew.lock)
        self.twins = Twins(self.records, self.crew)
        parts = TestParts(self.store).parts
        ingestion = Ingestion(self.status, parts, MemorySource(folder), "scope", threading.Event())
        self.batches = Batches(ingestion, self.store, "scope", "r1", self.records, self.breakers, self.twins)

    def hand(self, *jobs: Forget | Read) -> Hand:
        """Return a hand with the first of the jobs; the others are next."""
        keyed = {(job.file.file_id if isinstance(job, Read) else job.file_id): job for job in jobs}
        key = next(iter(keyed))
        first = keyed.pop(key)
        self.crew.replace(lambda _: keyed)
        return Hand(self.crew, self.breakers, key, first)

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


def forget(bench: Bench, *keys: str) -> Hand:
    hand = bench.hand(*map(Forget, keys))
    bench.batches.forget(hand, {})
    return hand


def test_files_to_forget_are_taken_together_and_each_is_told_once(bench: Bench) -> None:
    hand = forget(bench, "a", "b", "c", "never known")
    assert (hand.jobs, bench.crew.pending, bench.store.commits) == ({}, 0, 1)
    assert list(bench.store.texts()) == list(bench.ledger.rows()) == ["d", "e"]
    assert bench.names() == ["deleted"] * 4


def test_no_more_are_taken_than_a_batch_has_and_nothing_else(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MOST_FORGOTTEN", 2)
    forget(bench, "a", "b", "c")
    assert (bench.crew.pending, list(bench.store.texts())) == (1, ["c", "d", "e"])
    hand = bench.hand(Forget("c"), Read(found("x")), Forget("d"))
    bench.batches.forget(hand, {})
    assert (bench.crew.pending, list(bench.store.texts())) == (2, ["d", "e"])


def test_a_batch_that_alone_fails_is_done_file_by_file_and_names_the_one_to_blame(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.store.refused = "b"
    for _ in range(3):
        assert forget(bench, "a", "b", "c").again  # put back, and so are the others
        assert bench.crew.pending == 2
        bench.breakers.succeeded(STORE_DEPENDENCY, "x")  # others pass
    assert bench.names() == []
    for key in "abc":
        forget(bench, key, *(other for other in "abc" if other > key))
    assert list(bench.store.texts()) == ["b", "d", "e"]
    for _ in range(2):
        bench.breakers.succeeded(STORE_DEPENDENCY, "x")
        hand = forget(bench, "b")
    assert not hand.again
    assert "b.txt is gone, but its text is still stored" in caplog.records[-1].getMessage()
    assert caplog.records[-1].levelno == logging.WARNING
    assert list(bench.ledger.rows()) == ["b", "d", "e"]


def test_gathered_files_are_stored_together_and_shown_after_it(bench: Bench) -> None:
    bench.twins.missing = {"a", "b"}
    hand = bench.hand(Read(found("x")), Read(found("y")), Read(found("z")))
    with Gathering(bench.batches, hand) as gathering:
        taken: Any = ("x", Read(found("x")))
        while taken is not None:
            result = gathering.share(taken[1].file, ONE)
            assert result is not None
            assert result.end is End.SHARED
            taken = gathering.take()
        assert (bench.names(), len(hand.jobs)) == ([], 3)
        gathering.store()
    assert set(bench.store.texts()) == {"c", "d", "e", "x", "y", "z"}  # two have moved, one is a copy
    assert set(bench.ledger.rows()) == bench.records.known.keys() == set(bench.store.texts())
    assert sorted(bench.names()) == ["completed"] * 3 + ["deleted"] * 2 + ["processing_started"] * 3
    assert (hand.jobs, bench.crew.busy, bench.crew.pending) == ({}, 0, 0)


def test_what_was_gathered_is_let_go_if_the_work_breaks_off(bench: Bench) -> None:
    bench.twins.missing = {"a"}
    hand = bench.hand(Read(found("x")))
    with Gathering(bench.batches, hand) as gathering:
        gathering.share(found("x"), ONE)
        assert bench.crew.is_busy("a")
    assert not bench.crew.is_busy("a")


def test_a_file_whose_twin_has_left_the_store_takes_its_text_from_another(bench: Bench) -> None:
    hand = bench.hand(Read(found("x")))
    with Gathering(bench.batches, hand) as gathering:
        gathering.share(found("x"), ONE)
        del bench.store.kept["scope", "a"]
        gathering.store()
    assert (hand.again, bench.names()) == (True, [])
    del bench.store.kept["scope", "b"]  # is being removed: the records still have it
    with Gathering(bench.batches, bench.hand(Read(found("x")))) as gathering:
        assert gathering.share(found("x"), ONE) is not None
        gathering.store()
    assert list(bench.store.texts()) == ["c", "d", "e", "x"]


def test_a_copy_of_a_file_that_was_renamed_meanwhile_counts(bench: Bench) -> None:
    hand = bench.hand(Read(found("x")))
    with Gathering(bench.batches, hand) as gathering:
        gathering.share(found("x"), ONE)
        bench.store.rename("scope", "a", "new.txt", "file:///new")
        gathering.store()
    assert (hand.again, "x" in bench.ledger.rows()) == (False, True)


def test_a_file_whose_twins_have_all_left_the_store_is_put_back_and_then_read(bench: Bench) -> None:
    hand = bench.hand(Read(found("x")))
    with Gathering(bench.batches, hand) as gathering:
        gathering.share(found("x"), ONE)
        bench.store.kept.clear()
        gathering.store()
    assert (hand.again, bench.names()) == (True, [])
    with Gathering(bench.batches, bench.hand(Read(found("x")))) as gathering:
        assert gathering.share(found("x"), ONE) is None


def test_a_twin_that_the_store_has_with_another_content_is_none(bench: Bench) -> None:
    bench.store.kept.clear()
    with Gathering(bench.batches, bench.hand(Read(found("x")))) as gathering:
        assert gathering.share(found("x"), ONE) is None
