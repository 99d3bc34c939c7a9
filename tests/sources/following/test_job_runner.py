"""What jobs record, and in which order; test_pipeline shows jobs from outside."""

from __future__ import annotations

import errno
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from rag_pipeline.errors import (
    CorruptFileError,
    EmbeddingError,
    EmptyFileError,
    EncryptedFileError,
    ExtractionError,
    ExtractionLimitError,
    ExtractorUnavailableError,
    StateError,
    StoreError,
    TextRefusedError,
    UnsupportedFileTypeError,
)
from rag_pipeline.sources.following.circuit_breakers import CircuitBreakers
from rag_pipeline.sources.following.crash_counter import CrashCounter
from rag_pipeline.sources.following.job_runner import JobRunner, has_failed
from rag_pipeline.sources.following.jobs import DeleteFile, Ingest, Job, ReportUnreadable
from rag_pipeline.sources.following.records import Records
from rag_pipeline.sources.ingest_result import EMBEDDING_DEPENDENCY
from rag_pipeline.sources.ingestion import Ingestion
from rag_pipeline.sources.ledger import Ledger, Outcome
from rag_pipeline.sources.local_files import names
from rag_pipeline.sources.local_files.scan import current_version
from rag_pipeline.sources.local_files.settings import LocalFilesSettings
from rag_pipeline.sources.local_files.source import LocalFilesSource
from rag_pipeline.sources.source import FoundFile, SkippedError, SourceUnavailableError, Unreadable
from rag_pipeline.sources.worker_pool import WorkerPool
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from tests.sources.memory_stages import MemoryStages
from tests.support.recorder import Recorder


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.test = MemoryStages()
        self.status = PipelineStatus("local_files", f"jobs-{id(self)}")
        self.ledger = Ledger(folder, "scope")
        source = LocalFilesSource(LocalFilesSettings(str(folder), folder / "state"))
        self.called_off = False
        self.breakers = CircuitBreakers()
        self.pool: WorkerPool[Job] = WorkerPool(lambda *_: None, threads=0, name="jobs", on_change=lambda: None)
        ingestion = Ingestion(
            self.status, self.test.stages, source, "scope", threading.Event(), lambda _: self.called_off
        )
        self.jobs = JobRunner(
            ingestion,
            source,
            self.test.stages,
            Records(self.ledger, {}, {}, {}, self.pool.lock),
            "scope",
            self.breakers, CrashCounter(self.ledger), self.pool,
            retry=True,
        )  # fmt: skip

    def found(self, text: str) -> FoundFile:
        path = self.folder / "a.txt"
        path.write_text(text)
        return FoundFile("a.txt", "a.txt", names.uri(str(path)), len(text), 0.0, current_version(str(path)))


def raising(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def limit_of_machine(message: str) -> ExtractionLimitError:
    error = ExtractionLimitError(message)
    error.of_content = False
    return error


def overrun() -> ExtractionLimitError:
    error = limit_of_machine("a.txt took longer than 120 seconds to read")
    error.overran = True
    return error


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.ledger.close()


def test_the_store_is_written_first_then_the_ledger_then_the_status(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ledger, "put", lambda *_: raising(StateError("damaged"))())
    with pytest.raises(StateError):
        bench.jobs.run("a.txt", Ingest(bench.found("one")))
    assert bench.test.store.texts() == {"a.txt": ["one"]}
    assert bench.status.get()["total_processed"] == 0


def test_a_row_holds_the_outcome_of_the_file(bench: Bench) -> None:
    file = bench.found("one")
    bench.jobs.run("a.txt", Ingest(file))
    row = bench.ledger.rows()["a.txt"]
    assert (row.outcome, row.version, row.config_hash) == (Outcome.STORED, file.version, "r1")
    assert row.fingerprint == bench.jobs.stored["a.txt"]
    bench.jobs.run("a.txt", Ingest(bench.found("unsupported")))
    row = bench.ledger.rows()["a.txt"]
    assert (row.outcome, row.reason) == (Outcome.SKIPPED, "a.txt is of an unknown type")
    assert bench.jobs.stored == {}


def test_waits_between_retries_grow_and_retries_never_end(bench: Bench) -> None:
    """The extractor fails with an unexpected error, which is the fault of no dependency."""
    bench.test.extractor.before = raising(OSError(errno.EIO, "I/O error"))
    file = bench.found("one")
    waits = []
    for attempt in range(1, 13):
        now = time.time()
        assert bench.jobs.run("a.txt", Ingest(file)) is False
        row = bench.ledger.rows()["a.txt"]
        assert (row.attempts, row.retry_at is not None) == (attempt, True)
        waits.append((row.retry_at or 0.0) - now)
    assert all(after > before - 1 for before, after in itertools.pairwise(waits))
    assert 4 < waits[0] < 6
    assert 3600 <= waits[-1] < 3601


@pytest.mark.parametrize(
    "error",
    [
        EmbeddingError("the endpoint answered 401"),
        StoreError("the disk is full"),
        MemoryError(),
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EMFILE, "Too many open files"),
        RuntimeError("can't start new thread"),
        ExtractorUnavailableError("the process for it could not be started"),
    ],
    ids=["embedding", "store", "memory", "disk", "descriptors", "threads", "extractor"],
)
def test_a_failing_dependency_uses_up_no_attempt_and_keeps_the_old_text(bench: Bench, error: Exception) -> None:
    bench.jobs.run("a.txt", Ingest(bench.found("one")))
    before = bench.ledger.rows()
    bench.test.extractor.before = raising(error)
    for _ in range(20):
        assert bench.jobs.run("a.txt", Ingest(bench.found("another"))) is True  # it is put back
    assert bench.ledger.rows() == before
    assert bench.test.store.texts() == {"a.txt": ["one"]}
    assert bench.breakers.open_circuit is not None
    assert (bench.status.get()["total_failed"], bench.status.get()["files_in_flight"]) == (0, 1)
    bench.test.extractor.before = lambda: None
    assert bench.jobs.run("a.txt", Ingest(bench.found("another"))) is False
    assert bench.test.store.texts() == {"a.txt": ["another"]}
    assert bench.breakers.open_circuit is None


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EACCES, "Permission denied"),
        ZeroDivisionError("a bug of ours"),
        TextRefusedError("refused a text"),
        ExtractionError("is not read"),
        limit_of_machine("took longer than 120 seconds to read"),
    ],
    ids=["permission", "bug", "text", "extraction", "time"],
)
def test_a_failure_not_caused_by_the_content_keeps_the_old_text(bench: Bench, error: Exception) -> None:
    bench.jobs.run("a.txt", Ingest(bench.found("one")))
    bench.test.extractor.before = raising(error)
    assert bench.jobs.run("a.txt", Ingest(bench.found("another"))) is False
    assert bench.test.store.texts() == {"a.txt": ["one"]}
    row = bench.ledger.rows()["a.txt"]
    assert (row.outcome, row.retry_at is not None) == (Outcome.FAILED, True)


@pytest.mark.parametrize(
    "error",
    [
        CorruptFileError("is damaged"),
        EmptyFileError("is empty"),
        EncryptedFileError("is encrypted"),
        ExtractionLimitError("is too large"),
        UnsupportedFileTypeError("is of an unknown type"),
        SkippedError("may not be downloaded"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_only_content_and_source_can_remove_the_old_text(bench: Bench, error: Exception) -> None:
    bench.jobs.run("a.txt", Ingest(bench.found("one")))
    bench.test.extractor.before = raising(error)
    assert bench.jobs.run("a.txt", Ingest(bench.found("another"))) is False
    assert bench.test.store.texts() == {}


def test_a_file_that_trips_a_breaker_while_others_pass_fails(bench: Bench) -> None:
    file, ends = bench.found("one"), []
    bench.test.extractor.before = raising(EmbeddingError("refused"))
    for _ in range(3):
        ends.append(bench.jobs.run("a.txt", Ingest(file)))
        bench.breakers.succeeded(EMBEDDING_DEPENDENCY, "b.txt")
    assert ends == [True, True, False]
    assert bench.ledger.rows()["a.txt"].outcome is Outcome.FAILED


@pytest.mark.parametrize("text", ["", "corrupt", "unsupported"])
def test_a_file_whose_old_text_cannot_be_deleted_is_put_back(bench: Bench, text: str) -> None:
    bench.jobs.run("a.txt", Ingest(bench.found("one")))
    before = bench.ledger.rows()
    bench.test.store.error = StoreError("the store is away")
    file = bench.found(text)
    assert bench.jobs.run("a.txt", Ingest(file)) is True
    assert bench.ledger.rows() == before
    assert bench.breakers.open_circuit is not None
    assert bench.breakers.open_circuit.message == "the store is away"
    bench.test.store.error = None
    assert bench.jobs.run("a.txt", Ingest(file)) is False
    assert (bench.test.store.kept, bench.jobs.stored) == ({}, {})


def test_an_unreadable_entry_whose_old_text_cannot_be_deleted_is_put_back(bench: Bench) -> None:
    bench.jobs.run("a.txt", Ingest(bench.found("one")))
    before = bench.ledger.rows()
    bench.test.store.error = StoreError("the store is away")
    note = ReportUnreadable(Unreadable("a.txt", "a.txt", "a named pipe", is_error=False))
    assert bench.jobs.run("a.txt", note) is True
    assert (bench.ledger.rows(), bench.status.get()["total_skipped"]) == (before, 0)
    bench.test.store.error = None
    assert bench.jobs.run("a.txt", note) is False
    assert (bench.test.store.kept, bench.status.get()["total_skipped"]) == ({}, 1)


def test_a_deletion_that_fails_is_put_back(bench: Bench) -> None:
    bench.jobs.run("a.txt", Ingest(bench.found("one")))
    bench.test.store.error = StoreError("the disk is full")
    assert bench.jobs.run("a.txt", DeleteFile("a.txt")) is True
    assert list(bench.ledger.rows()) == ["a.txt"]
    assert bench.status.get()["total_deleted"] == 0
    bench.test.store.error = None
    assert bench.jobs.run("a.txt", DeleteFile("a.txt")) is False
    assert (bench.ledger.rows(), bench.test.store.kept) == ({}, {})
    assert bench.status.get()["total_deleted"] == 1


def test_a_ledger_on_a_full_disk_opens_a_breaker(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    full = StateError("the disk is full")
    full.retryable = True
    put = Ledger.put
    monkeypatch.setattr(Ledger, "put", lambda *_: raising(full)())
    assert bench.jobs.run("a.txt", Ingest(bench.found("one"))) is True
    assert bench.breakers.open_circuit is not None
    monkeypatch.setattr(Ledger, "put", put)
    assert bench.jobs.run("a.txt", Ingest(bench.found("one"))) is False
    assert bench.test.store.writes == {"a.txt": 1}  # stored once, and not embedded again
    assert bench.breakers.open_circuit is None


def test_an_entry_that_is_no_file_any_more_leaves_the_store_and_an_unreadable_file_does_not(bench: Bench) -> None:
    bench.jobs.run("a.txt", Ingest(bench.found("one")))
    bench.jobs.run("a.txt", ReportUnreadable(Unreadable("a.txt", "a.txt", "can't be accessed", is_error=True)))
    assert "a.txt" in bench.jobs.stored
    bench.jobs.run("a.txt", ReportUnreadable(Unreadable("a.txt", "a.txt", "a named pipe", is_error=False)))
    assert bench.test.store.kept == {}
    state = bench.status.get()
    assert (state["total_failed"], state["total_skipped"]) == (0, 1)


@pytest.mark.parametrize("is_error", [False, True])
def test_any_shown_file_that_is_gone_is_reported_as_deleted(bench: Bench, is_error: bool) -> None:
    bench.jobs.run("x", ReportUnreadable(Unreadable("x", "x", "a named pipe", is_error=is_error)))
    bench.jobs.run("x", DeleteFile("x"))
    assert bench.ledger.rows() == {}
    assert bench.status.get()["total_deleted"] == 1


def test_a_renamed_file_is_ingested_only_if_its_suffix_changed(bench: Bench) -> None:
    file = bench.found("one")
    bench.jobs.run("a.txt", Ingest(file))
    bench.jobs.run("a.txt", Ingest(file))
    bench.jobs.run("a.txt", Ingest(file._replace(name="b.txt")))
    assert bench.test.store.writes == {"a.txt": 1}
    assert bench.ledger.rows()["a.txt"].name == bench.test.store.files("scope")["a.txt"].name == "b.txt"
    bench.jobs.run("a.txt", Ingest(file._replace(name="b.md")))
    assert bench.test.store.writes == {"a.txt": 2}
    assert bench.ledger.rows()["a.txt"].name == bench.test.store.files("scope")["a.txt"].name == "b.md"


def test_a_deletion_is_reported_under_the_last_name(bench: Bench) -> None:
    bench.jobs.run("a.txt", Ingest(bench.found("one")._replace(name="Report.txt")))
    seen = Recorder()
    core_of(bench.status).attach(seen)
    bench.jobs.run("a.txt", DeleteFile("a.txt"))
    assert (seen.last["file"]["id"], seen.last["file"]["name"]) == ("a.txt", "Report.txt")


def test_a_requested_retry_is_due_at_once_and_resets_the_attempts(bench: Bench) -> None:
    bench.test.extractor.before = raising(OSError(errno.EIO, "I/O error"))
    file = bench.found("one")
    for _ in range(3):
        bench.jobs.run("a.txt", Ingest(file))
    assert has_failed(bench.jobs.rows["a.txt"])
    bench.jobs.retry("a.txt")
    row = bench.ledger.rows()["a.txt"]
    assert (row, row.attempts, row.retry_at) == (bench.jobs.rows["a.txt"], 0, 0.0)


def test_of_the_unfinished_files_only_a_cancelled_one_is_put_back(bench: Bench) -> None:
    file = bench.found("one")
    assert bench.jobs.run("a.txt", Ingest(file)) is False
    bench.called_off = True
    assert bench.jobs.run("a.txt", Ingest(file)) is True
    assert bench.jobs.priorities.sort([file, file._replace(file_id="b")])[-1] is file


def test_a_file_that_cannot_be_found_is_kept_until_a_scan_misses_it(bench: Bench) -> None:
    file = bench.found("one")
    bench.jobs.run("a.txt", Ingest(file))
    (bench.folder / "a.txt").unlink()
    assert bench.jobs.run("a.txt", Ingest(file._replace(version="newer"))) is False
    assert (bench.jobs.wants_rescan, list(bench.test.store.texts()), list(bench.ledger.rows())) == (
        True,
        ["a.txt"],
        ["a.txt"],
    )
    assert bench.status.get()["total_deleted"] == 0


def test_an_unavailable_source_is_remembered_until_the_loop_takes_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    trouble = SourceUnavailableError("no network")

    def fetch(*_: object) -> NoReturn:
        raise trouble

    monkeypatch.setattr(LocalFilesSource, "fetch", fetch)
    bench.jobs.run("a.txt", Ingest(bench.found("one")))
    assert bench.jobs.take_unavailable() is trouble
    assert bench.jobs.take_unavailable() is None
    assert (bench.ledger.rows(), bench.status.get()["total_failed"]) == ({}, 0)


def test_an_entry_that_should_be_readable_counts_as_failed(bench: Bench) -> None:
    bench.jobs.run("a", ReportUnreadable(Unreadable("a", "a", "can't be accessed", is_error=True)))
    bench.jobs.run("b", ReportUnreadable(Unreadable("b", "b", "a named pipe", is_error=False)))
    assert (has_failed(bench.jobs.rows["a"]), has_failed(bench.jobs.rows["b"])) == (True, False)
    bench.jobs.retry("a")
    assert bench.ledger.rows()["a"].version is None


def test_a_stored_text_is_not_embedded_again_if_the_ledger_fails_right_after(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Ingest(bench.found("heron"))
    full = StateError("the disk is full")
    full.retryable = True
    with monkeypatch.context() as patch:
        patch.setattr(bench.ledger, "mark_ended", lambda _: (_ for _ in ()).throw(full))
        assert bench.jobs.run("a.txt", job)
    assert not bench.jobs.run("a.txt", job)
    assert (bench.test.embedder.embedded, bench.ledger.rows()["a.txt"].outcome) == (1, Outcome.STORED)


def test_a_file_that_overran_is_retried_a_day_later_alone_and_keeps_its_text(bench: Bench) -> None:
    bench.jobs.run("a.txt", Ingest(bench.found("one")))
    stored = dict(bench.jobs.stored)
    bench.test.extractor.before = raising(overrun())
    file = bench.found("two two")
    now = time.time()
    bench.jobs.run("a.txt", Ingest(file))
    row = bench.ledger.rows()["a.txt"]
    assert (row.outcome, row.overran, bench.jobs.stored) == (Outcome.FAILED, True, stored)
    assert 86_399 < (row.retry_at or 0.0) - now < 86_500
    assert bench.jobs.is_suspect(file)
    assert bench.jobs.is_suspect(bench.found("three"))
    bench.test.extractor.before = lambda: None
    bench.jobs.run("a.txt", Ingest(bench.found("three")))
    assert bench.test.store.texts() == {"a.txt": ["three"]}
    assert not bench.jobs.is_suspect(file)
    assert not bench.ledger.rows()["a.txt"].overran


def test_a_file_that_overran_and_is_rewritten_unchanged_is_not_extracted(bench: Bench) -> None:
    reads: list[int] = []

    def fail() -> None:
        reads.append(1)
        raise overrun()

    bench.test.extractor.before = fail
    bench.jobs.run("a.txt", Ingest(bench.found("one")))
    for _ in range(3):
        file = bench.found("one")
        bench.jobs.run("a.txt", Ingest(file))
        row = bench.ledger.rows()["a.txt"]
        assert (row.version, row.overran, len(reads)) == (file.version, True, 1)
    bench.jobs.retry("a.txt")
    bench.jobs.run("a.txt", Ingest(bench.found("one")))
    assert len(reads) == 2


def test_a_verdict_outlives_renames_failures_and_lost_reports(bench: Bench) -> None:
    def shown() -> tuple[int, int]:
        file = bench.status.get()["files_completed"][-1]
        return len(file["warnings"]), bench.status.get()["total_with_warnings"]

    file = bench.found("faulty")
    bench.jobs.run("a.txt", Ingest(file))
    assert shown() == (1, 1)
    bench.jobs.run("a.txt", Ingest(file._replace(name="b.txt")))
    assert bench.status.get()["files_completed"][-1]["result"] == {"renamed_from": "a.txt"}
    assert shown() == (1, 1)
    bench.test.extractor.before = raising(PermissionError(13, "not allowed"))
    bench.jobs.run("a.txt", Ingest(bench.found("changed")))
    assert bench.status.get()["total_failed"] == 1
    bench.jobs.run("a.txt", Ingest(bench.found("faulty")))
    assert bench.status.get()["files_completed"][-1]["result"] == {"unchanged": True}
    assert shown() == (1, 1)
    bench.jobs.unreported["a.txt"] = "a.txt"
    bench.jobs.run("a.txt", Ingest(bench.found("faulty")))
    assert shown() == (1, 1)
    bench.test.extractor.before = lambda: None
    bench.jobs.run("a.txt", Ingest(bench.found("good")))
    assert shown() == (0, 0)
