from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NoReturn

import pytest

from rag_pipeline.errors import EmbeddingError, StoreError, UnreadableTextError
from rag_pipeline.ingest.extract.ocr.scan_reader import ScanReader
from rag_pipeline.ingest.types import ExtractedDocument, Extractor, ProgressCallback, Stopped
from rag_pipeline.sources import ingestion
from rag_pipeline.sources.ingest_result import (
    EMBEDDING_DEPENDENCY,
    MACHINE_DEPENDENCY,
    STORE_DEPENDENCY,
    IngestEnd,
    IngestResult,
)
from rag_pipeline.sources.ingestion import Ingestion
from rag_pipeline.sources.local_files import names
from rag_pipeline.sources.local_files.scan import current_version
from rag_pipeline.sources.local_files.settings import LocalFilesSettings
from rag_pipeline.sources.local_files.source import LocalFilesSource
from rag_pipeline.sources.source import FoundFile, SkippedError, SourceUnavailableError
from rag_pipeline.status.pipeline import PipelineStatus, core_of
from tests.sources.memory_stages import FAULT, MemoryStages
from tests.support.recorder import Recorder


class Folder(LocalFilesSource):
    """A folder that can be made to return another version."""

    answer: Callable[[FoundFile], str] | None = None

    def version_now(self, file: FoundFile) -> str:
        return super().version_now(file) if self.answer is None else self.answer(file)


class Bench:
    """One file, the stages and the status."""

    def __init__(self, folder: Path) -> None:
        self.test = MemoryStages()
        self.status = PipelineStatus("local_files", f"ingestion-{id(self)}")
        self.seen = Recorder()
        core_of(self.status).attach(self.seen)
        self.stop = threading.Event()
        self.source = Folder(LocalFilesSettings(str(folder), folder / "state"))
        self.called_off = False
        self.ingestion = Ingestion(
            self.status, self.test.stages, self.source, "scope", self.stop, lambda _: self.called_off
        )
        self.path = folder / "a.txt"

    def item(self, text: str) -> FoundFile:
        self.path.write_text(text)
        version = current_version(str(self.path))
        return FoundFile("a.txt", "a.txt", names.uri(str(self.path)), len(text), 1.0, version)

    def work(self, item: FoundFile, stored: str | None = None) -> IngestResult:
        result = self.ingestion.ingest(item, stored)
        self.ingestion.report(item, result, shown_as_done=True)
        return result

    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = self.status.get()["files_failed"][-1]["error"]
        return error


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_file_goes_through_the_stages_in_order_and_each_is_shown(bench: Bench) -> None:
    result = bench.work(bench.item("one\ntwo"))
    assert (result.end, result.chunks) == (IngestEnd.STORED, 2)
    assert bench.test.store.texts() == {"a.txt": ["one", "two"]}
    core_of(bench.status).flush()
    [file] = bench.status.get()["files_completed"]
    assert file["result"] == {"chunks": 2, "mime_type": "text/plain"}
    assert file["stage"] == "storing"
    assert bench.seen.names[0] == "pipeline:file_processing_started"


def test_every_stage_reaches_the_status_with_its_fraction(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    stages: list[tuple[str, float | None]] = []

    def note(_name: str, stage: str, progress: float | None = None, *, file_id: str) -> None:
        assert file_id == "a.txt"
        stages.append((stage, progress))

    monkeypatch.setattr(bench.status, "file_progress", note)
    bench.work(bench.item("one"))
    assert list(dict.fromkeys(stage for stage, _ in stages)) == ["extracting", "chunking", "embedding", "storing"]
    assert ("extracting", 1.0) in stages
    assert ("embedding", 1.0) in stages


def test_a_long_file_is_embedded_in_batches_with_the_fraction_of_all(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingestion, "_CHUNKS_AT_ONCE", 3)
    shown: list[tuple[str, float | None]] = []
    embedded: list[int] = []
    embed = bench.test.embedder.embed

    def counted(texts: Sequence[str], *, on_progress: ProgressCallback | None = None) -> Any:
        embedded.append(len(texts))
        return embed(texts, on_progress=on_progress)

    monkeypatch.setattr(bench.test.embedder, "embed", counted)
    monkeypatch.setattr(
        bench.status, "file_progress", lambda _, stage, progress=None, **__: shown.append((stage, progress))
    )
    lines = [str(number) for number in range(10)]
    result = bench.work(bench.item("\n".join(lines)))
    assert (result.chunks, embedded) == (10, [3, 3, 3, 1])
    assert bench.test.store.texts() == {"a.txt": lines}
    stages = [stage for stage, _ in shown]
    assert stages == sorted(stages, key=["extracting", "chunking", "embedding", "storing"].index), "none comes back"
    fractions = [fraction for stage, fraction in shown if stage == "embedding" and fraction is not None]
    assert fractions == sorted(fractions)
    assert {0.0, 1.0} < set(fractions)
    assert shown[-1] == ("storing", None)


def test_unchanged_content_is_neither_ingested_nor_shown(bench: Bench) -> None:
    first = bench.work(bench.item("one"))
    emitted = len(bench.seen.items)
    assert bench.work(bench.item("one"), first.fingerprint).end is IngestEnd.UNCHANGED
    assert bench.test.embedder.embedded == 1
    assert len(bench.seen.items) == emitted


def test_another_configuration_gives_another_fingerprint(bench: Bench, tmp_path: Path) -> None:
    first = bench.work(bench.item("one"))
    other = MemoryStages(config_hash="r2")
    ingestion = Ingestion(bench.status, other.stages, bench.source, "scope", bench.stop)
    result = ingestion.ingest(bench.item("one"), first.fingerprint)
    assert result.end is IngestEnd.STORED


@pytest.mark.parametrize("text", ["", "  \n", "unsupported"])
def test_unsupported_files_are_skipped_with_the_reason(bench: Bench, text: str) -> None:
    assert bench.work(bench.item(text)).end is IngestEnd.SKIPPED
    [file] = bench.status.get()["files_skipped"]
    assert "a.txt is" in file["error"]["message"]


def test_a_failed_file_shows_the_error_and_its_stage(bench: Bench) -> None:
    assert bench.work(bench.item("corrupt")).end is IngestEnd.FAILED
    assert bench.error() == {
        "type": "CorruptFileError",
        "message": "a.txt is damaged",
        "stage": "extracting",
        "retryable": False,
    }


@pytest.mark.parametrize(
    ("error", "dependency"),
    [
        (EmbeddingError("no endpoint"), EMBEDDING_DEPENDENCY),
        (StoreError("the disk is full"), STORE_DEPENDENCY),
        (MemoryError(), MACHINE_DEPENDENCY),
    ],
)
def test_an_error_of_a_dependency_does_not_fail_the_file(bench: Bench, error: Exception, dependency: str) -> None:
    bench.test.embedder.error = error
    result = bench.work(bench.item("one"))
    assert (result.end, result.error, result.removes_text) == (IngestEnd.BLOCKED, None, False)
    assert result.failed_dependency is not None
    assert result.failed_dependency.dependency == dependency
    assert bench.status.get()["total_failed"] == 0


def test_an_unexpected_error_fails_only_the_file(bench: Bench) -> None:
    bench.test.embedder.error = ZeroDivisionError("division by zero")
    assert bench.work(bench.item("one")).end is IngestEnd.FAILED
    assert bench.error()["type"] == "ZeroDivisionError"


def test_a_file_over_the_limit_fails_without_being_read(bench: Bench, tmp_path: Path) -> None:
    huge = tmp_path / "huge.bin"
    with huge.open("wb") as file:
        file.truncate(1 << 42)  # sparse: reading it would take hours
    item = FoundFile("huge", "huge.bin", names.uri(str(huge)), 1 << 42, 1.0, current_version(str(huge)))
    assert bench.work(item).end is IngestEnd.FAILED
    assert bench.error()["type"] == "ExtractionLimitError"
    assert bench.test.extractor.read == []


def test_a_named_pipe_that_took_the_files_place_does_not_block(bench: Bench) -> None:
    item = bench.item("one")
    bench.path.unlink()
    os.mkfifo(bench.path)
    assert bench.work(item).end is IngestEnd.CHANGED


def test_a_file_without_read_permission_is_not_retryable(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied", "a.txt")

    item = bench.item("one")
    monkeypatch.setattr("rag_pipeline.sources.fingerprint.os.open", refuse)
    assert bench.work(item).end is IngestEnd.FAILED
    assert bench.error()["message"] == "a.txt can't be read: Permission denied"
    assert bench.error()["retryable"] is False


def test_a_file_that_cannot_be_found_is_left_to_the_next_scan(bench: Bench) -> None:
    item = bench.item("one")
    bench.path.unlink()
    assert bench.work(item).end is IngestEnd.CHANGED
    assert (bench.status.get()["total_failed"], bench.status.get()["total_deleted"]) == (0, 0)


def test_an_error_of_a_file_of_unknown_version_is_left_to_the_next_scan(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> NoReturn:
        raise PermissionError(13, "Permission denied", "a.txt")

    # As with expired credentials of a network mount: nothing is wrong with the file.
    item = bench.item("one")
    bench.source.answer = refuse
    monkeypatch.setattr("rag_pipeline.sources.fingerprint.os.open", refuse)
    assert bench.work(item).end is IngestEnd.CHANGED
    assert bench.status.get()["total_failed"] == 0


@pytest.mark.parametrize("text", ["one", "corrupt"])
def test_a_file_that_changes_during_extraction_is_put_back(bench: Bench, text: str) -> None:
    item = bench.item(text)
    bench.test.extractor.hold.clear()
    results: list[IngestResult] = []
    thread = threading.Thread(target=lambda: results.append(bench.work(item)))
    thread.start()
    assert bench.test.extractor.holding.wait(60)
    bench.path.write_text("something else altogether")
    bench.test.extractor.hold.set()
    thread.join(60)
    assert results[0].end is IngestEnd.CHANGED
    assert bench.test.store.kept == {}
    [file] = bench.status.get()["files_processing"]
    assert file["stage"] == "waiting"
    again = bench.item("new")
    assert bench.work(again).end is IngestEnd.STORED
    assert bench.status.get()["files_in_flight"] == 0
    assert bench.status.get()["files_completed"][0]["attempt"] == 2


def test_an_unchanged_file_that_was_put_back_is_completed(bench: Bench) -> None:
    stored = bench.work(bench.item("one")).fingerprint
    item = bench.item("two")
    bench.source.answer = lambda _: "another version"
    bench.work(item, stored)
    bench.source.answer = None
    assert bench.work(bench.item("one"), stored).end is IngestEnd.UNCHANGED
    assert bench.status.get()["files_in_flight"] == 0
    assert bench.status.get()["files_completed"][-1]["result"] == {"unchanged": True}


@pytest.mark.parametrize("when", ["hashing", "extracting"])
def test_a_stop_neither_completes_nor_fails_the_file(bench: Bench, when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    item = bench.item("one")
    if when == "hashing":
        bench.stop.set()
    else:
        extract: Callable[..., Any] = bench.test.extractor.extract

        def stopped_meanwhile(*args: Any, **kwargs: Any) -> Any:
            bench.stop.set()
            return extract(*args, **kwargs)

        monkeypatch.setattr(bench.test.extractor, "extract", stopped_meanwhile)
    assert bench.work(item).end is IngestEnd.STOPPED
    state = bench.status.get()
    assert (state["total_failed"], state["total_processed"]) == (0, 0)
    assert [file["stage"] for file in state["files_processing"]] == ([] if when == "hashing" else ["interrupted"])


def test_an_error_caused_by_the_stop_fails_nothing(bench: Bench) -> None:
    bench.test.embedder.before = bench.stop.set
    bench.test.embedder.error = EmbeddingError("the embedder is closed")
    assert bench.work(bench.item("one")).end is IngestEnd.STOPPED
    assert bench.status.get()["total_failed"] == 0


@pytest.mark.parametrize(
    ("happens", "end"),
    [
        (lambda path: path.unlink(), IngestEnd.CHANGED),
        (lambda path: path.write_text("quite another text"), IngestEnd.CHANGED),
        (lambda path: path.read_text(), IngestEnd.STORED),
    ],
    ids=["deleted", "rewritten", "read"],
)
@pytest.mark.parametrize("version_check_seconds", [0.0, 3600.0])
def test_a_file_that_changes_during_embedding_is_abandoned(
    bench: Bench,
    happens: Callable[[Path], object],
    end: IngestEnd,
    version_check_seconds: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ingestion, "_VERSION_CHECK_SECONDS", version_check_seconds)
    item = bench.item("\n".join(f"line {number}" for number in range(100)))
    bench.test.embedder.before = lambda: happens(bench.path)
    assert bench.ingestion.ingest(item, None).end is end
    stored = end is IngestEnd.STORED
    assert bool(bench.test.store.texts()) is stored
    # Noticed between two batches, or at the latest before the store is written.
    assert bench.test.embedder.batches == (10 if stored or version_check_seconds else 1)


def test_a_file_of_unknown_version_is_ingested(bench: Bench) -> None:
    def refused(_: FoundFile) -> str:
        raise PermissionError(13, "Permission denied")

    bench.source.answer = refused
    assert bench.work(bench.item("one")).end is IngestEnd.STORED


def test_a_cancelled_file_stays_in_flight_and_starts_over_as_another_attempt(bench: Bench) -> None:
    item = bench.item("one")
    bench.test.embedder.before = lambda: setattr(bench, "called_off", True)
    assert bench.work(item).end is IngestEnd.CANCELLED
    assert [file["stage"] for file in bench.status.get()["files_processing"]] == ["waiting"]
    bench.called_off = False
    bench.test.embedder.before = lambda: None
    assert bench.work(item).end is IngestEnd.STORED
    assert bench.status.get()["files_completed"][-1]["attempt"] == 2


def test_an_error_caused_by_the_cancellation_fails_nothing(bench: Bench) -> None:
    bench.test.embedder.before = lambda: setattr(bench, "called_off", True)
    bench.test.embedder.error = EmbeddingError("interrupted")
    assert bench.work(bench.item("one")).end is IngestEnd.CANCELLED


def test_a_download_is_a_stage_and_its_errors_belong_to_it(bench: Bench) -> None:
    seen: list[tuple[str, float | None]] = []

    class BrokenError(Exception):
        retryable = True

    def fetch(file: FoundFile, on_progress: ProgressCallback, check: Callable[[], None]) -> NoReturn:
        for fraction in (0.0, 0.7, 1.3):
            on_progress(fraction)
            seen.extend((f["stage"], f["progress"]) for f in bench.status.get()["files_processing"])
        raise BrokenError("the transfer broke")

    bench.source.fetch = fetch  # type: ignore[method-assign]
    assert bench.work(bench.item("one")).end is IngestEnd.FAILED
    assert seen == [("downloading", 0.0), ("downloading", 0.7), ("downloading", 1.0)]
    assert bench.error() == {
        "type": "BrokenError",
        "message": "the transfer broke",
        "stage": "downloading",
        "retryable": True,
    }


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (SkippedError("a.txt may not be downloaded"), IngestEnd.SKIPPED),
        (SourceUnavailableError("no network"), IngestEnd.UNAVAILABLE),
        (
            FileNotFoundError(2, "No such file", "a.txt"),
            IngestEnd.FAILED,
        ),  # it is there, and can't be had: later, perhaps
        (Stopped(), IngestEnd.STOPPED),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_error_of_a_download_decides_the_outcome(bench: Bench, error: Exception, end: IngestEnd) -> None:
    def fetch(file: FoundFile, on_progress: ProgressCallback, check: Callable[[], None]) -> NoReturn:
        raise error

    bench.source.fetch = fetch  # type: ignore[method-assign]
    result = bench.work(bench.item("one"))
    assert result.end is end
    assert result.unavailable is (error if end is IngestEnd.UNAVAILABLE else None)
    assert bench.status.get()["total_skipped"] == (1 if end is IngestEnd.SKIPPED else 0)


def test_a_file_of_unknown_size_is_stored_with_its_real_size(bench: Bench) -> None:
    bench.work(bench.item("one")._replace(size=0))
    assert [file.size for file in bench.test.store.files("scope").values()] == [3]
    assert bench.status.get()["files_completed"][-1]["size"] is None


def test_a_stored_file_shows_the_verdict_on_its_text(bench: Bench) -> None:
    bench.work(bench.item("faulty text"))
    (file,) = bench.status.get()["files_completed"]
    assert file["warnings"] == [asdict(FAULT)]
    assert file["quality"] == {"characters": 11, "odd_characters": 0.0, "pages": None, "pages_without_text": None}
    assert bench.status.get()["total_with_warnings"] == 1


def test_unreadable_text_fails_with_the_reason_and_is_not_stored(bench: Bench) -> None:
    def fail() -> NoReturn:
        raise UnreadableTextError("a.txt has unreadable text: 34% of its characters could not be decoded")

    bench.test.extractor.before = fail
    result = bench.work(bench.item("garbage"))
    assert (result.end, result.removes_text, result.retryable) == (IngestEnd.FAILED, True, False)
    assert bench.error()["type"] == "UnreadableTextError"
    assert bench.error()["message"] == "a.txt has unreadable text: 34% of its characters could not be decoded"
    assert bench.test.store.texts() == {}


class _Scans(ScanReader):
    """Takes every file for a scan, and shows OCR half done."""

    def read(
        self,
        extractor: Extractor,
        path: str,
        descriptor: int,
        *,
        on_progress: ProgressCallback,
        on_ocr: Callable[[], None],
    ) -> ExtractedDocument:
        document = extractor.extract(path, on_progress=on_progress, descriptor=descriptor)
        on_ocr()
        on_progress(0.5)
        return document


def test_ocr_is_a_stage_of_its_own(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    stages = replace(bench.test.stages, scans=_Scans())
    bench.ingestion = Ingestion(bench.status, stages, bench.source, "scope", bench.stop)
    shown: list[tuple[str, float | None]] = []

    def note(_name: str, stage: str, progress: float | None = None, *, file_id: str) -> None:
        shown.append((stage, progress))

    monkeypatch.setattr(bench.status, "file_progress", note)
    assert bench.work(bench.item("one\ntwo")).end is IngestEnd.STORED
    assert list(dict.fromkeys(stage for stage, _ in shown))[:3] == ["extracting", "ocr", "chunking"]
    assert [fraction for stage, fraction in shown if stage == "ocr"] == [0.0, 0.5]
