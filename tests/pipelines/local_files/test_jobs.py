"""What is written down, in which order; how jobs look from outside is in test_pipeline."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from rag_pipeline.errors import StateError, StoreError
from rag_pipeline.pipelines.ingestion import Ingestion
from rag_pipeline.pipelines.ledger import Ledger, Outcome
from rag_pipeline.pipelines.local_files.jobs import MAX_ATTEMPTS, Forget, Jobs, Note, Read
from rag_pipeline.pipelines.local_files.scan import FoundFile, Oddity, current_version
from rag_pipeline.status import PipelineStatus
from tests.pipelines.parts import TestParts


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.test = TestParts()
        self.status = PipelineStatus("local_files", f"jobs-{id(self)}")
        self.ledger = Ledger(folder, "scope")
        ingestion = Ingestion(self.status, self.test.parts, "scope", threading.Event())
        self.jobs = Jobs(ingestion, self.test.parts, self.ledger, "scope", {}, {}, retry=True)

    def found(self, text: str) -> FoundFile:
        path = self.folder / "a.txt"
        path.write_text(text)
        return FoundFile("a.txt", "a.txt", str(path), len(text), 0, current_version(str(path)))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_the_store_is_written_before_the_ledger_and_the_end_is_shown_last(bench: Bench) -> None:
    bench.ledger.close()
    with pytest.raises(StateError):
        bench.jobs.do("a.txt", Read(bench.found("one")))
    assert bench.test.store.texts() == {"a.txt": ["one"]}
    assert bench.status.get()["total_processed"] == 0


def test_a_row_says_what_became_of_the_file(bench: Bench) -> None:
    file = bench.found("one")
    bench.jobs.do("a.txt", Read(file))
    row = bench.ledger.rows()["a.txt"]
    assert (row.outcome, row.version, row.recipe) == (Outcome.STORED, file.version, "r1")
    assert row.fingerprint == bench.jobs.stored["a.txt"]
    bench.jobs.do("a.txt", Read(bench.found("unsupported")))
    row = bench.ledger.rows()["a.txt"]
    assert (row.outcome, row.reason) == (Outcome.SKIPPED, "a.txt is of an unknown type")
    assert bench.jobs.stored == {}


def test_tries_grow_further_apart_and_end(bench: Bench) -> None:
    bench.test.store.error = StoreError("the disk is full")
    file = bench.found("one")
    waits = []
    for attempt in range(1, MAX_ATTEMPTS + 1):
        bench.jobs.do("a.txt", Read(file))
        row = bench.ledger.rows()["a.txt"]
        assert row.attempts == attempt
        waits.append(row.retry_at)
    assert waits[-1] is None
    due = [at for at in waits if at is not None]
    assert due == sorted(due)
    assert due[2] - due[1] > due[1] - due[0] > 10


def test_text_that_cannot_be_removed_now_is_asked_for_again(bench: Bench) -> None:
    bench.jobs.do("a.txt", Read(bench.found("one")))
    bench.test.store.error = StoreError("the disk is full")
    bench.jobs.do("a.txt", Forget("a.txt", silent=False))
    assert list(bench.ledger.rows()) == ["a.txt"]
    assert bench.status.get()["total_deleted"] == 0
    bench.test.store.error = None
    bench.jobs.do("a.txt", Forget("a.txt", silent=False))
    assert (bench.ledger.rows(), bench.test.store.kept) == ({}, {})
    assert bench.status.get()["total_deleted"] == 1


def test_a_file_that_became_something_else_leaves_the_store_and_an_unreadable_one_does_not(bench: Bench) -> None:
    bench.jobs.do("a.txt", Read(bench.found("one")))
    bench.jobs.do("a.txt", Note(Oddity("a.txt", "a.txt", "can't be looked at", is_error=True)))
    assert "a.txt" in bench.jobs.stored
    bench.jobs.do("a.txt", Note(Oddity("a.txt", "a.txt", "a named pipe", is_error=False)))
    assert bench.test.store.kept == {}
    state = bench.status.get()
    assert (state["total_failed"], state["total_skipped"]) == (1, 1)


def test_an_oddity_that_is_gone_is_forgotten_in_silence(bench: Bench) -> None:
    bench.jobs.do("x", Note(Oddity("x", "x", "a named pipe", is_error=False)))
    bench.jobs.do("x", Forget("x", silent=True))
    assert bench.ledger.rows() == {}
    assert bench.status.get()["total_deleted"] == 0
