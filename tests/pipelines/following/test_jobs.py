"""What is written down, in which order; how jobs look from outside is in test_pipeline."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import NoReturn

import pytest

from rag_pipeline.errors import StateError, StoreError
from rag_pipeline.pipelines.following import jobs
from rag_pipeline.pipelines.following.jobs import MAX_ATTEMPTS, Forget, Jobs, Note, Read, has_failed
from rag_pipeline.pipelines.following.source import FoundFile, Oddity, SourceUnavailableError
from rag_pipeline.pipelines.ingestion import Ingestion
from rag_pipeline.pipelines.ledger import Ledger, Outcome
from rag_pipeline.pipelines.local_files import names
from rag_pipeline.pipelines.local_files.scan import current_version
from rag_pipeline.pipelines.local_files.settings import LocalFilesSettings
from rag_pipeline.pipelines.local_files.source import LocalFilesSource
from rag_pipeline.status import PipelineStatus, core_of
from tests.pipelines.parts import TestParts
from tests.watching import Recorder


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.test = TestParts()
        self.status = PipelineStatus("local_files", f"jobs-{id(self)}")
        self.ledger = Ledger(folder, "scope")
        source = LocalFilesSource(LocalFilesSettings(str(folder), folder / "state"))
        self.called_off = False
        ingestion = Ingestion(
            self.status, self.test.parts, source, "scope", threading.Event(), lambda _: self.called_off
        )
        self.jobs = Jobs(
            ingestion, source, self.test.parts, self.ledger, "scope", {}, {}, {}, retry=True, lock=nullcontext()
        )

    def found(self, text: str) -> FoundFile:
        path = self.folder / "a.txt"
        path.write_text(text)
        return FoundFile("a.txt", "a.txt", names.uri(str(path)), len(text), 0.0, current_version(str(path)))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.ledger.close()


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


@pytest.mark.parametrize("text", ["", "corrupt", "unsupported"])
def test_a_file_whose_old_text_cannot_leave_the_store_has_failed_and_is_tried_again(bench: Bench, text: str) -> None:
    bench.jobs.do("a.txt", Read(bench.found("one")))
    bench.test.store.error = StoreError("the store is away")
    file = bench.found(text)
    bench.jobs.do("a.txt", Read(file))
    row = bench.ledger.rows()["a.txt"]
    assert (row.outcome, row.reason, row.attempts) == (Outcome.FAILED, "the store is away", 1)
    assert row.retry_at is not None
    error = bench.status.get()["files_failed"][-1]["error"]
    assert (error["type"], error["stage"], error["retryable"]) == ("StoreError", "storing", True)
    bench.test.store.error = None
    bench.jobs.do("a.txt", Read(file))
    assert (bench.test.store.kept, bench.jobs.stored) == ({}, {})
    assert bench.ledger.rows()["a.txt"].reason != "the store is away"


def test_an_oddity_whose_old_text_cannot_leave_the_store_is_asked_for_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "RETRY_SECONDS", 0.0)
    bench.jobs.do("a.txt", Read(bench.found("one")))
    before = bench.ledger.rows()
    bench.test.store.error = StoreError("the store is away")
    bench.jobs.do("a.txt", Note(Oddity("a.txt", "a.txt", "a named pipe", is_error=False)))
    assert (bench.ledger.rows(), bench.status.get()["total_skipped"]) == (before, 0)
    bench.test.store.error = None
    bench.jobs.do("a.txt", Note(Oddity("a.txt", "a.txt", "a named pipe", is_error=False)))
    assert (bench.test.store.kept, bench.status.get()["total_skipped"]) == ({}, 1)


def test_a_store_that_could_not_remove_a_text_is_left_alone_for_a_while(bench: Bench) -> None:
    bench.jobs.do("a.txt", Read(bench.found("one")))
    bench.test.store.error = StoreError("the store is away")
    bench.jobs.do("a.txt", Forget("a.txt"))
    bench.test.store.error = None
    bench.jobs.do("a.txt", Forget("a.txt"))
    assert list(bench.test.store.texts()) == list(bench.ledger.rows()) == ["a.txt"]


def test_text_that_cannot_be_removed_now_is_asked_for_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "RETRY_SECONDS", 0.0)
    bench.jobs.do("a.txt", Read(bench.found("one")))
    bench.test.store.error = StoreError("the disk is full")
    bench.jobs.do("a.txt", Forget("a.txt"))
    assert list(bench.ledger.rows()) == ["a.txt"]
    assert bench.status.get()["total_deleted"] == 0
    bench.test.store.error = None
    bench.jobs.do("a.txt", Forget("a.txt"))
    assert (bench.ledger.rows(), bench.test.store.kept) == ({}, {})
    assert bench.status.get()["total_deleted"] == 1


def test_a_file_that_became_something_else_leaves_the_store_and_an_unreadable_one_does_not(bench: Bench) -> None:
    bench.jobs.do("a.txt", Read(bench.found("one")))
    bench.jobs.do("a.txt", Note(Oddity("a.txt", "a.txt", "can't be looked at", is_error=True)))
    assert "a.txt" in bench.jobs.stored
    bench.jobs.do("a.txt", Note(Oddity("a.txt", "a.txt", "a named pipe", is_error=False)))
    assert bench.test.store.kept == {}
    state = bench.status.get()
    assert (state["total_failed"], state["total_skipped"]) == (0, 1)


@pytest.mark.parametrize("is_error", [False, True])
def test_whatever_was_shown_and_is_gone_is_shown_as_deleted(bench: Bench, is_error: bool) -> None:
    bench.jobs.do("x", Note(Oddity("x", "x", "a named pipe", is_error=is_error)))
    bench.jobs.do("x", Forget("x"))
    assert bench.ledger.rows() == {}
    assert bench.status.get()["total_deleted"] == 1


def test_a_file_under_a_new_name_is_stored_anew_only_where_the_name_says_another_type(bench: Bench) -> None:
    file = bench.found("one")
    bench.jobs.do("a.txt", Read(file))
    bench.jobs.do("a.txt", Read(file))
    bench.jobs.do("a.txt", Read(file._replace(name="b.txt")))
    assert bench.test.store.writes == {"a.txt": 1}
    assert bench.ledger.rows()["a.txt"].name == bench.test.store.files("scope")["a.txt"].name == "b.txt"
    bench.jobs.do("a.txt", Read(file._replace(name="b.md")))
    assert bench.test.store.writes == {"a.txt": 2}
    assert bench.ledger.rows()["a.txt"].name == bench.test.store.files("scope")["a.txt"].name == "b.md"


def test_a_file_that_is_gone_is_told_by_its_last_name(bench: Bench) -> None:
    bench.jobs.do("a.txt", Read(bench.found("one")._replace(name="Report.txt")))
    seen = Recorder()
    core_of(bench.status).attach(seen)
    bench.jobs.do("a.txt", Forget("a.txt"))
    assert (seen.last["file"]["id"], seen.last["file"]["name"]) == ("a.txt", "Report.txt")


def test_a_failed_file_that_is_to_be_tried_again_is_due_with_all_its_tries(bench: Bench) -> None:
    bench.test.store.error = StoreError("the disk is full")
    file = bench.found("one")
    for _ in range(MAX_ATTEMPTS):
        bench.jobs.do("a.txt", Read(file))
    assert has_failed(bench.jobs.known["a.txt"])
    bench.jobs.try_again("a.txt")
    row = bench.ledger.rows()["a.txt"]
    assert (row, row.attempts, row.retry_at) == (bench.jobs.known["a.txt"], 0, 0.0)


def test_only_a_file_that_was_cancelled_is_put_back(bench: Bench) -> None:
    file = bench.found("one")
    assert bench.jobs.do("a.txt", Read(file)) is False
    bench.called_off = True
    assert bench.jobs.do("a.txt", Read(file)) is True
    assert bench.jobs.order.sort([file, file._replace(file_id="b")])[-1] is file


def test_a_file_that_cannot_be_found_is_not_forgotten_before_a_look_has_said_that_it_is_gone(bench: Bench) -> None:
    file = bench.found("one")
    bench.jobs.do("a.txt", Read(file))
    (bench.folder / "a.txt").unlink()
    assert bench.jobs.do("a.txt", Read(file._replace(version="newer"))) is False
    assert (bench.jobs.again, list(bench.test.store.texts()), list(bench.ledger.rows())) == (True, ["a.txt"], ["a.txt"])
    assert bench.status.get()["total_deleted"] == 0


def test_trouble_with_the_source_is_kept_until_it_is_taken(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    trouble = SourceUnavailableError("no network")

    def fetch(*_: object) -> NoReturn:
        raise trouble

    monkeypatch.setattr(LocalFilesSource, "fetch", fetch)
    bench.jobs.do("a.txt", Read(bench.found("one")))
    assert bench.jobs.take_trouble() is trouble
    assert bench.jobs.take_trouble() is None
    assert (bench.ledger.rows(), bench.status.get()["total_failed"]) == ({}, 0)


def test_a_file_is_shown_as_failed_also_where_it_could_not_even_be_looked_at(bench: Bench) -> None:
    bench.jobs.do("a", Note(Oddity("a", "a", "can't be looked at", is_error=True)))
    bench.jobs.do("b", Note(Oddity("b", "b", "a named pipe", is_error=False)))
    assert (has_failed(bench.jobs.known["a"]), has_failed(bench.jobs.known["b"])) == (True, False)
    bench.jobs.try_again("a")
    assert bench.ledger.rows()["a"].version is None
