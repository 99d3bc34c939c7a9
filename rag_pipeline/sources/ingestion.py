"""Takes one file through the stages (download, extract, chunk, embed, store) and shows each in the status."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple

from rag_pipeline.errors import EmptyFileError, ExtractionLimitError, StateError
from rag_pipeline.ingest.types import Chunk, ExtractedDocument, SourceFile, Stopped
from rag_pipeline.sources.fingerprint import fingerprint
from rag_pipeline.sources.ingest_result import IngestEnd, IngestResult, dependency_failure, result_of_error
from rag_pipeline.sources.ledger import EventPosition
from rag_pipeline.sources.source import FoundFile, OpenFile, Source, SourceUnavailableError, Unreadable
from rag_pipeline.sources.stages import Stages
from rag_pipeline.sources.verdict import Verdict
from rag_pipeline.status.pipeline import PipelineStatus, core_of

DOWNLOADING, EXTRACTING, CHUNKING, EMBEDDING, STORING = "downloading", "extracting", "chunking", "embedding", "storing"
RECOGNISING = "ocr"
SCANNING, WAITING, INTERRUPTED = "scanning", "waiting", "interrupted"

# Bounds the memory of a file, however long it is.
_CHUNKS_AT_ONCE = 512
_VERSION_CHECK_SECONDS = 0.25


def _reuse_nothing(_fingerprint: str, _size: int) -> None:
    return None


class IngestHooks(NamedTuple):
    """Callbacks during the work on one file.

    reuse: called with fingerprint and size; returns the result if the content need not be extracted.
    before_long: called before a download and before extraction: finish now what others wait for.
    ingesting: a context that spans extraction to storing.
    stored: called with the fingerprint once the content is stored.
    """

    reuse: Callable[[str, int], IngestResult | None] = _reuse_nothing
    before_long: Callable[[], None] = lambda: None
    ingesting: Callable[[], AbstractContextManager[None]] = nullcontext
    stored: Callable[[str], None] = lambda _: None


_NO_HOOKS = IngestHooks()


class Ingestion:
    """Ingests files of a source and reports them to the status; thread-safe.

    The caller calls :meth:`ingest`, records the result in the ledger, then calls :meth:`report`. So the status never
    shows a file as done that a crash could still undo. A file that ``is_cancelled`` ends at its next progress call.
    """

    def __init__(
        self,
        status: PipelineStatus,
        stages: Stages,
        source: Source,
        collection: str,
        stop: threading.Event,
        is_cancelled: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._status = status
        self._stages = stages
        self._source = source
        self._collection = collection
        self._stop = stop
        self._is_cancelled = is_cancelled
        self._in_flight: dict[str, str] = {}  # names by id, as the status has them; each operation is atomic

    def ingest(self, file: FoundFile, stored: str | None, hooks: IngestHooks = _NO_HOOKS) -> IngestResult:
        """Bring the store up to date with the file; ``stored`` is its fingerprint in the store, if any.

        Errors of the source, the file, the model or the store are in the result. Raises StateError if another process
        has taken over this pipeline's files.
        """
        work = _FileIngestion(self, file, hooks)
        try:
            return work.run(stored)
        except _Abandoned as abandoned:
            return IngestResult(abandoned.end)
        except Stopped:
            return IngestResult(IngestEnd.STOPPED)
        except SourceUnavailableError as error:
            return IngestResult(IngestEnd.STOPPED if self._stop.is_set() else IngestEnd.UNAVAILABLE, unavailable=error)
        except StateError:
            raise
        except Exception as error:  # noqa: BLE001 - one bad file never stops the rest
            return work.result_of(error)

    def report(self, file: FoundFile, result: IngestResult, *, shown_as_done: bool) -> None:
        """Show how the work ended; an unchanged file that is ``shown_as_done`` already causes no event."""
        status, name, key = self._status, file.name, file.file_id
        in_flight = key in self._in_flight
        if result.is_unfinished:
            if in_flight:
                stage = INTERRUPTED if result.end is IngestEnd.STOPPED else WAITING
                status.file_progress(name, stage, file_id=key)
            return
        if result.end is IngestEnd.UNCHANGED and shown_as_done and not in_flight:
            return
        if not in_flight:
            self._start(file)
        self._in_flight.pop(key, None)
        if result.end is IngestEnd.SKIPPED:
            assert result.error is not None
            status.skip_file(name, result.error["message"], file_id=key)
        elif result.end is IngestEnd.FAILED:
            status.complete_file(name, success=False, file_id=key, error=result.error)
        elif result.end is IngestEnd.STORED:
            details: dict[str, Any] = {"chunks": result.chunks, "mime_type": result.mime_type}
            if result.same_content_as is not None:
                details["same_content_as"] = result.same_content_as
            self._complete(file, details, result.verdict)
        else:
            self._complete(file, {"unchanged": True}, result.verdict)

    @property
    def pipeline_id(self) -> str:
        """The id of the pipeline."""
        return self._status.pipeline_id

    @property
    def position(self) -> EventPosition:
        """The current position in the pipeline's events; everything shown before is at or below it."""
        body = core_of(self._status).snapshot()
        assert body.epoch is not None  # it is that of a pipeline of this process
        return EventPosition(body.epoch, body.seq)

    @property
    def in_flight(self) -> dict[str, str]:
        """The names, by id, of the files that the status has in flight: in work, or put back."""
        return dict(self._in_flight)

    def is_in_flight(self, file_id: str) -> bool:
        """Return whether the status has the file in flight."""
        return file_id in self._in_flight

    def report_unreadable(self, entry: Unreadable) -> None:
        """Show an entry that can't be read: as failed if it should be readable, else as skipped."""
        name, key = entry.name, entry.file_id
        self._in_flight.pop(key, None)
        if entry.is_error or entry.link is not None:
            self._status.add_processing_file(name, key, link=entry.link)
        if entry.is_error:
            error = {"type": "Unreadable", "message": f"{name}: {entry.reason}", "stage": SCANNING, "retryable": True}
            self._status.complete_file(name, success=False, file_id=key, error=error)
        else:
            self._status.skip_file(name, entry.reason, file_id=key)

    def report_renamed(self, file: FoundFile, old_name: str, verdict: Verdict | None) -> None:
        """Show that a file was renamed and needed no ingestion."""
        self._start(file)
        self._in_flight.pop(file.file_id, None)
        self._complete(file, {"renamed_from": old_name}, verdict)

    def report_deleted(self, name: str, file_id: str) -> None:
        """Show that a file is gone from the source."""
        self._in_flight.pop(file_id, None)
        self._status.delete_file(name, file_id=file_id)

    def _complete(self, file: FoundFile, result: Mapping[str, Any], verdict: Verdict | None) -> None:
        fields = {} if verdict is None else verdict.fields()
        self._status.complete_file(file.name, file_id=file.file_id, result=result, **fields)

    def _start(self, file: FoundFile) -> None:
        self._in_flight[file.file_id] = file.name
        size = file.size or None
        self._status.add_processing_file(file.name, file.file_id, size=size, mime_type=file.mime_type, link=file.link)


class _Abandoned(Stopped):
    """The file must not be ingested any more; a subclass of Stopped, which sources and stages let pass."""

    def __init__(self, end: IngestEnd) -> None:
        super().__init__(end)
        self.end = end


class _FileIngestion:
    """The work on one file; knows the current stage."""

    def __init__(self, ingestion: Ingestion, file: FoundFile, hooks: IngestHooks) -> None:
        self.stages = ingestion._stages
        self.file = file
        self.stage_name = EXTRACTING
        self._ingestion = ingestion
        self._hooks = hooks
        self._status = ingestion._status
        self._source = ingestion._source
        self._has_downloaded = False
        self._is_started = False
        self._fingerprint: str | None = None
        self._version_checked_at = time.monotonic()

    def run(self, stored: str | None) -> IngestResult:
        """Fetch the file, and store its content unless the store has it."""
        file, limit = self.file, self.stages.input_limit_bytes
        self.check()
        if file.size > limit:  # too large by its listed size, so it is not read
            raise ExtractionLimitError(f"{file.name} is {file.size:,} bytes, over the limit of {limit:,}")
        self.stage_name = DOWNLOADING if self._source.transfers else EXTRACTING
        with self._source.fetch(file, self._on_downloaded, self.check) as content:
            self.stage_name = EXTRACTING
            current = fingerprint(content.descriptor, file.name, self.stages.config_hash, limit=limit, check=self.check)
            self._fingerprint = current
            if current == stored:
                return IngestResult(IngestEnd.UNCHANGED, current)
            size = file.size or os.fstat(content.descriptor).st_size
            if (result := self._hooks.reuse(current, size)) is not None:
                return result
            self._hooks.before_long()
            with self._hooks.ingesting():
                return self._store(content, current, size)

    def _store(self, content: OpenFile, current: str, size: int) -> IngestResult:
        """Extract; then chunk, embed and store in batches of chunks."""
        file = self.file
        self.set_stage(EXTRACTING, 0.0)
        document = self._extract(content)
        self.check_version()
        document = replace(document, name=file.name)
        source = SourceFile(file.file_id, file.name, file.uri, current, size, document.mime_type, file.modified_at)
        embedded = _EmbeddedChunks(self, document)
        self.stages.store.replace(self._ingestion._collection, source, embedded)
        self._hooks.stored(current)
        return IngestResult(IngestEnd.STORED, current, embedded.count, document.mime_type, verdict=Verdict.of(document))

    def _extract(self, content: OpenFile) -> ExtractedDocument:
        extractor, scans = self.stages.extractor, self.stages.scans
        if scans is None:
            return extractor.extract(content.path, on_progress=self.on_progress, descriptor=content.descriptor)
        return scans.read(
            extractor,
            content.path,
            content.descriptor,
            on_progress=self.on_progress,
            on_ocr=lambda: self.set_stage(RECOGNISING, 0.0),
        )

    def result_of(self, error: Exception) -> IngestResult:
        """Return the result for an error: the file changed meanwhile, a dependency failed, or the file did."""
        try:
            if self._source.version_now(self.file) != self.file.version:
                return IngestResult(IngestEnd.CHANGED)
        except OSError:
            return IngestResult(IngestEnd.CHANGED)  # perhaps the source is unavailable: the next scan tells
        try:
            self.check()
        except _Abandoned as abandoned:
            return IngestResult(abandoned.end)
        except Stopped:
            return IngestResult(IngestEnd.STOPPED)
        dependency = dependency_failure(error, self.file.name, self.stage_name)
        if dependency is not None:
            return IngestResult(IngestEnd.BLOCKED, failed_dependency=dependency)
        return replace(result_of_error(error, self.file.name, self.stage_name), fingerprint=self._fingerprint)

    def set_stage(self, stage: str, fraction: float | None = None) -> None:
        """Show the stage and its progress."""
        self.check()
        if not self._is_started:
            self._is_started = True
            self._ingestion._start(self.file)  # also for a file that was put back: it starts over
        self.stage_name = stage
        self._status.file_progress(self.file.name, stage, fraction, file_id=self.file.file_id)

    def on_progress(self, fraction: float) -> None:
        """Show the progress of the current stage."""
        # A large file takes minutes, which are wasted once the file is deleted or changed.
        if time.monotonic() - self._version_checked_at >= _VERSION_CHECK_SECONDS:
            self.check_version()
        self.set_stage(self.stage_name, min(1.0, max(0.0, fraction)))

    def check_version(self) -> None:
        """Raise if the file has changed or can't be found; go on if its version is unknown."""
        version: str | None = self.file.version
        try:
            version = self._source.version_now(self.file)
        except FileNotFoundError:
            version = None
        except OSError:
            pass
        self._version_checked_at = time.monotonic()
        if version != self.file.version:
            raise _Abandoned(IngestEnd.CHANGED)

    def check(self) -> None:
        """Raise if the pipeline is stopped or the file is cancelled."""
        if self._ingestion._stop.is_set():
            raise Stopped
        if self._ingestion._is_cancelled(self.file.file_id):
            raise _Abandoned(IngestEnd.CANCELLED)

    def _on_downloaded(self, fraction: float) -> None:
        if not self._has_downloaded:
            self._has_downloaded = True
            self._hooks.before_long()
        self.set_stage(DOWNLOADING, min(1.0, max(0.0, fraction)))


class _EmbeddedChunks:
    """Iterates over a document's chunks with their vectors, one batch at a time.

    The status shows the first batch as chunking, then embedding. Later the stage stays embedding, with the fraction of
    the text that is embedded, and in the end it is storing.
    """

    def __init__(self, work: _FileIngestion, document: ExtractedDocument) -> None:
        self._work = work
        self._document = document
        self._chunked = 0.0  # fraction of the text
        self.count = 0

    def __iter__(self) -> Iterator[tuple[list[Chunk], Any]]:
        work = self._work
        work.set_stage(CHUNKING, 0.0)
        chunks = work.stages.chunker.chunks(self._document, on_progress=self._on_chunked)
        batch, embedded = list(islice(chunks, _CHUNKS_AT_ONCE)), 0.0
        if not batch:
            raise EmptyFileError(f"{work.file.name} has no text in it")
        work.set_stage(EMBEDDING, 0.0)
        while batch:
            end = self._chunked
            next_batch = list(islice(chunks, _CHUNKS_AT_ONCE))
            if not next_batch:
                end = 1.0
            yield batch, self._embed(batch, embedded, end)
            self.count += len(batch)
            batch, embedded = next_batch, end
        work.check_version()
        work.set_stage(STORING)

    def _embed(self, batch: list[Chunk], start: float, end: float) -> Any:
        return self._work.stages.embedder.embed(
            [chunk.embedded_text for chunk in batch],
            on_progress=lambda fraction: self._work.on_progress(start + (end - start) * fraction),
        )

    def _on_chunked(self, fraction: float) -> None:
        self._chunked = fraction
        if self._work.stage_name == CHUNKING:
            self._work.on_progress(fraction)
        else:
            self._work.check()
