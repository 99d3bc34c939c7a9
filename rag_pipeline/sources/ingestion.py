"""One file through the stages: (download →) extract → chunk → embed → store, each shown as it happens."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice
from typing import Any, NamedTuple, Protocol

from rag_pipeline.errors import (
    EmbeddingError,
    EmptyFileError,
    ExtractionError,
    ExtractionLimitError,
    ExtractorUnavailableError,
    RagPipelineError,
    ResourceError,
    StateError,
    StoreError,
    TextRefusedError,
    UnsupportedFileTypeError,
)
from rag_pipeline.ingest.types import Chunk, Document, Embedder, Extractor, Progress, SourceFile, Stopped, VectorStore
from rag_pipeline.sources.fingerprint import fingerprint
from rag_pipeline.sources.following.source import (
    Fetched,
    FoundFile,
    Oddity,
    SkippedError,
    Source,
    SourceUnavailableError,
)
from rag_pipeline.sources.ledger import Reported
from rag_pipeline.status import PipelineStatus, core_of

DOWNLOADING, EXTRACTING, CHUNKING, EMBEDDING, STORING = "downloading", "extracting", "chunking", "embedding", "storing"
SCANNING, WAITING, INTERRUPTED = "scanning", "waiting", "interrupted"

# So many are embedded at once, and so many are in memory of a file, however long it is.
_CHUNKS_AT_ONCE = 512
_LOOK_AGAIN_SECONDS = 0.25
_SKIPPED = (UnsupportedFileTypeError, EmptyFileError, SkippedError)
# The machine is short of something; that is not about the file whose work came upon it.
_SHORT = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN})
EMBEDDING_DEPENDENCY, STORE_DEPENDENCY, MACHINE_DEPENDENCY = "embedding", "store", "machine"
# What only a person can change; all other errors of the file system may pass.
_LASTING = frozenset({errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG, errno.EISDIR})


class Chunker(Protocol):
    """Cuts a document into pieces that the embedder takes; safe to call from several threads."""

    def chunks(self, document: Document, *, on_progress: Progress | None = None) -> Iterator[Chunk]:
        """Yield the chunks in reading order, numbered from 0; none for a document without words."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """The stages' means. ``recipe`` stands for all that decides what they make of a content."""

    extractor: Extractor
    chunker: Chunker
    embedder: Embedder
    store: VectorStore
    recipe: str
    input_limit_bytes: int

    def close(self) -> None:
        """Close them in the order of the stages; idempotent."""
        self.extractor.close()
        self.embedder.close()
        self.store.close()


class End(StrEnum):
    """How the work on a file ended. All after ``FAILED`` leave it where it was: it is not done.

    ``SHARED`` is for a file whose text is stored already, under another id: it is for the caller to store. ``PARKED``
    is for one whose content is being read under another id: it is done after that one.
    A file that can't be found has ``CHANGED``: that it is gone is for a look to say, which knows whether the source is.
    """

    STORED = "stored"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    FAILED = "failed"
    SHARED = "shared"
    PARKED = "parked"
    CHANGED = "changed"
    CANCELLED = "cancelled"
    UNAVAILABLE = "unavailable"
    BLOCKED = "blocked"
    STOPPED = "stopped"


class Blocked(NamedTuple):
    """A dependency that failed during the work on a file, and its error."""

    dependency: str
    error: RagPipelineError


_PUT_BACK = frozenset({End.PARKED, End.CHANGED, End.CANCELLED, End.UNAVAILABLE, End.BLOCKED})


@dataclass(frozen=True, slots=True)
class Result:
    """The end of the work on one file.

    ``error`` has the shape that the status shows. ``same_as`` is the name of a stored file with the same content, whose
    chunks and vectors it shares. ``of_content`` says that the text the file had before is wrong: the
    content itself, or the source, says that there is none. ``trouble`` is why nothing can be fetched, for
    ``UNAVAILABLE``; ``blocked`` is what failed, for ``BLOCKED``. ``overran`` says that reading the file took up all the
    time it may take.
    """

    end: End
    fingerprint: str | None = None
    chunks: int = 0
    mime_type: str | None = None
    error: Mapping[str, Any] | None = None
    same_as: str | None = None
    of_content: bool = False
    trouble: SourceUnavailableError | None = None
    blocked: Blocked | None = None
    overran: bool = False

    @property
    def retryable(self) -> bool:
        """Whether another try, with nothing changed, may end otherwise."""
        return self.error is not None and bool(self.error["retryable"])


def _share_nothing(_fingerprint: str, _size: int) -> None:
    return None


class Hooks(NamedTuple):
    """What the work on one file calls.

    share: called with the fingerprint and the size; returns how the work ends if the content need not be read.
    before_long: called before a transfer, and before the content is read: what others wait for has to be done.
    reading: lasts while the content is read and stored.
    stored: called with the fingerprint once the content is stored.
    """

    share: Callable[[str, int], Result | None] = _share_nothing
    before_long: Callable[[], None] = lambda: None
    reading: Callable[[], AbstractContextManager[None]] = nullcontext
    stored: Callable[[str], None] = lambda _: None


_NO_HOOKS = Hooks()


class Ingestion:
    """Takes files of a source through the stages; safe to call from several threads.

    :meth:`work` does it and shows the stages, :meth:`report` shows the end. Between the two the caller writes down
    what was done, so that nothing is seen as done that a crash could still undo. A file that is ``called_off`` is left
    at the next sign of progress.
    """

    def __init__(
        self,
        status: PipelineStatus,
        parts: Parts,
        source: Source,
        scope: str,
        stop: threading.Event,
        called_off: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._status = status
        self._parts = parts
        self._source = source
        self._scope = scope
        self._stop = stop
        self._called_off = called_off
        self._shown: dict[str, str] = {}  # names of what the status has in flight, by id; each operation is atomic

    def work(self, file: FoundFile, stored: str | None, hooks: Hooks = _NO_HOOKS) -> Result:
        """Bring the store up to date with the file; ``stored`` is the fingerprint the store has of it, if any.

        What the source, the file, the model or the store does is in the result. Raises StateError if another process
        has taken over this pipeline's files, which ends more than the work on one.
        """
        work = _Work(self, file, hooks)
        try:
            return work.run(stored)
        except _Outdated as outdated:
            return Result(outdated.end)
        except Stopped:
            return Result(End.STOPPED)
        except SourceUnavailableError as trouble:
            return Result(End.STOPPED if self._stop.is_set() else End.UNAVAILABLE, trouble=trouble)
        except StateError:
            raise
        except Exception as error:  # noqa: BLE001 - one bad file never stops the rest
            return work.failed(error)

    def report(self, file: FoundFile, result: Result, *, shown_as_done: bool) -> None:
        """Show how the work ended; of a file that is ``shown_as_done`` and unchanged there is nothing to show."""
        status, name, key = self._status, file.name, file.file_id
        shown = key in self._shown
        if result.end in _PUT_BACK or result.end is End.STOPPED:
            if shown:
                status.file_progress(name, WAITING if result.end in _PUT_BACK else INTERRUPTED, file_id=key)
            return
        if result.end is End.UNCHANGED and shown_as_done and not shown:
            return
        if not shown:
            self._show(file)
        self._shown.pop(key, None)
        if result.end is End.SKIPPED:
            assert result.error is not None
            status.skip_file(name, result.error["message"], file_id=key)
        elif result.end is End.FAILED:
            status.complete_file(name, success=False, file_id=key, error=result.error)
        else:
            about: dict[str, Any] = {"chunks": result.chunks, "mime_type": result.mime_type}
            if result.same_as is not None:
                about["same_content_as"] = result.same_as
            status.complete_file(name, file_id=key, result=about if result.end is End.STORED else {"unchanged": True})

    @property
    def pipeline_id(self) -> str:
        """The identity of the pipeline whose files these are."""
        return self._status.pipeline_id

    @property
    def position(self) -> Reported:
        """Where the pipeline's events are now; what was shown before is at or below it."""
        body = core_of(self._status).snapshot()
        assert body.epoch is not None  # it is that of a pipeline of this process
        return Reported(body.epoch, body.seq)

    @property
    def in_flight(self) -> dict[str, str]:
        """The names of the files that the status has in flight, by id: under way, or put back."""
        return dict(self._shown)

    def is_in_flight(self, file_id: str) -> bool:
        """Return whether the status has the file in flight."""
        return file_id in self._shown

    def noted(self, odd: Oddity) -> None:
        """Show something that can't be read as a file: skipped, or failed if it should be readable."""
        name, key = odd.name, odd.file_id
        self._shown.pop(key, None)
        if odd.is_error or odd.link is not None:
            self._status.add_processing_file(name, key, link=odd.link)
        if odd.is_error:
            error = {"type": "Unreadable", "message": f"{name}: {odd.reason}", "stage": SCANNING, "retryable": True}
            self._status.complete_file(name, success=False, file_id=key, error=error)
        else:
            self._status.skip_file(name, odd.reason, file_id=key)

    def renamed(self, file: FoundFile, old_name: str) -> None:
        """Show that a file has another name, and nothing had to be done for it."""
        self._show(file)
        self._shown.pop(file.file_id, None)
        self._status.complete_file(file.name, file_id=file.file_id, result={"renamed_from": old_name})

    def deleted(self, name: str, file_id: str) -> None:
        """Show that a file's source is gone."""
        self._shown.pop(file_id, None)
        self._status.delete_file(name, file_id=file_id)

    def _show(self, file: FoundFile) -> None:
        self._shown[file.file_id] = file.name
        size = file.size or None
        self._status.add_processing_file(file.name, file.file_id, size=size, mime_type=file.mime_type, link=file.link)


class _Outdated(Stopped):
    """The file is not to be worked on any more; a ``Stopped``, since sources and stages let that pass."""

    def __init__(self, end: End) -> None:
        super().__init__(end)
        self.end = end


class _Work:
    """The work on one file, with the stage it is in."""

    def __init__(self, ingestion: Ingestion, file: FoundFile, hooks: Hooks) -> None:
        self._ingestion = ingestion
        self._hooks = hooks
        self._transfers = False
        self._status = ingestion._status
        self._parts = ingestion._parts
        self._source = ingestion._source
        self._file = file
        self._stage_name = EXTRACTING
        self._begun = False
        self._found: str | None = None
        self._looked_at = time.monotonic()

    def run(self, stored: str | None) -> Result:
        """Fetch the file, and store it unless the store has it as it is."""
        file, limit = self._file, self._parts.input_limit_bytes
        self._check()
        if file.size > limit:  # refused by its size, unread
            raise ExtractionLimitError(f"{file.name} is {file.size:,} bytes, over the limit of {limit:,}")
        self._stage_name = DOWNLOADING if self._source.transfers else EXTRACTING
        with self._source.fetch(file, self._downloaded, self._check) as content:
            self._stage_name = EXTRACTING
            found = fingerprint(content.descriptor, file.name, self._parts.recipe, limit=limit, check=self._check)
            self._found = found
            if found == stored:
                return Result(End.UNCHANGED, found)
            size = file.size or os.fstat(content.descriptor).st_size
            if (result := self._hooks.share(found, size)) is not None:
                return result
            self._hooks.before_long()
            with self._hooks.reading():
                return self._store(content, found, size)

    def _store(self, content: Fetched, found: str, size: int) -> Result:
        """Extract; then chunk, embed and store, a batch of chunks at a time."""
        parts, file = self._parts, self._file
        self._stage(EXTRACTING, 0.0)
        document = parts.extractor.extract(content.path, on_progress=self._progress, descriptor=content.descriptor)
        self._look()
        source = SourceFile(file.file_id, file.name, file.uri, found, size, document.mime_type, file.modified_at)
        embedded = _EmbeddedChunks(self, document)
        parts.store.replace(self._ingestion._scope, source, embedded)
        self._hooks.stored(found)
        return Result(End.STORED, found, embedded.count, document.mime_type)

    def failed(self, error: Exception) -> Result:
        """Return what an error means: the file was half written, is not for us, or failed."""
        try:
            if self._source.version_now(self._file) != self._file.version:
                return Result(End.CHANGED)
        except OSError:
            return Result(End.CHANGED)  # it may be the source that can't be had: the next look tells
        try:
            self._check()
        except _Outdated as outdated:
            return Result(outdated.end)
        except Stopped:
            return Result(End.STOPPED)
        blocked = _blocked(error, self._file.name, self._stage_name)
        if blocked is not None:
            return Result(End.BLOCKED, blocked=blocked)
        return replace(failure(error, self._file.name, self._stage_name), fingerprint=self._found)

    def _stage(self, stage: str, fraction: float | None = None) -> None:
        self._check()
        if not self._begun:
            self._begun = True
            self._ingestion._show(self._file)  # one that was put back, and is in flight still, starts over
        self._stage_name = stage
        self._status.file_progress(self._file.name, stage, fraction, file_id=self._file.file_id)

    def _downloaded(self, fraction: float) -> None:
        if not self._transfers:
            self._transfers = True
            self._hooks.before_long()
        self._stage(DOWNLOADING, min(1.0, max(0.0, fraction)))

    def _progress(self, fraction: float) -> None:
        # A large file takes minutes, which are for nothing once it is deleted or written anew.
        if time.monotonic() - self._looked_at >= _LOOK_AGAIN_SECONDS:
            self._look()
        self._stage(self._stage_name, min(1.0, max(0.0, fraction)))

    def _look(self) -> None:
        """Raise if the file is another one or can't be found; what can't be told now is no reason to leave it."""
        now: str | None = self._file.version
        try:
            now = self._source.version_now(self._file)
        except FileNotFoundError:
            now = None
        except OSError:
            pass
        self._looked_at = time.monotonic()
        if now != self._file.version:
            raise _Outdated(End.CHANGED)

    def _check(self) -> None:
        if self._ingestion._stop.is_set():
            raise Stopped
        if self._ingestion._called_off(self._file.file_id):
            raise _Outdated(End.CANCELLED)


class _EmbeddedChunks:
    """The chunks of a document with their vectors, made a batch at a time as they are asked for.

    The first batch is shown as chunking, then embedding. From then on the stage is embedding, with the fraction of the
    text that is embedded, and in the end storing.
    """

    def __init__(self, work: _Work, document: Document) -> None:
        self._work = work
        self._document = document
        self._chunked = 0.0  # fraction of the text
        self.count = 0

    def __iter__(self) -> Iterator[tuple[list[Chunk], Any]]:
        work = self._work
        work._stage(CHUNKING, 0.0)
        chunks = work._parts.chunker.chunks(self._document, on_progress=self._on_chunked)
        batch, embedded = list(islice(chunks, _CHUNKS_AT_ONCE)), 0.0
        if not batch:
            raise EmptyFileError(f"{work._file.name} has no text in it")
        work._stage(EMBEDDING, 0.0)
        while batch:
            end = self._chunked
            following = list(islice(chunks, _CHUNKS_AT_ONCE))
            if not following:
                end = 1.0
            yield batch, self._embed(batch, embedded, end)
            self.count += len(batch)
            batch, embedded = following, end
        work._look()
        work._stage(STORING)

    def _embed(self, batch: list[Chunk], start: float, end: float) -> Any:
        return self._work._parts.embedder.embed(
            [chunk.text for chunk in batch],
            on_progress=lambda fraction: self._work._progress(start + (end - start) * fraction),
        )

    def _on_chunked(self, fraction: float) -> None:
        self._chunked = fraction
        if self._work._stage_name == CHUNKING:
            self._work._progress(fraction)
        else:
            self._work._check()


def failure(error: Exception, name: str, stage: str) -> Result:
    """Return what a file ends with that an error has ended in this stage: failed, or skipped if it is not for us.

    Its text is taken out of the store for a closed list of reasons: its content (``of_content``), or the source, says
    that there is nothing to read. Any other error says nothing about the text.
    """
    shown = {
        "type": type(error).__name__,
        "message": _message(error, name),
        "stage": stage,
        "retryable": _is_retryable(error),
    }
    of_content = isinstance(error, SkippedError) or (isinstance(error, ExtractionError) and error.of_content)
    end = End.SKIPPED if isinstance(error, _SKIPPED) else End.FAILED
    overran = isinstance(error, ExtractionLimitError) and error.overran
    return Result(end, error=shown, of_content=of_content, overran=overran)


def _blocked(error: Exception, name: str, stage: str) -> Blocked | None:
    """Return the dependency that the error is about; None if it is about the file, or can't be told."""
    if isinstance(error, TextRefusedError):
        return None
    if isinstance(error, EmbeddingError):
        return Blocked(EMBEDDING_DEPENDENCY, error)
    if isinstance(error, StoreError):
        return Blocked(STORE_DEPENDENCY, error)
    if isinstance(error, ResourceError | ExtractorUnavailableError):
        return Blocked(MACHINE_DEPENDENCY, error)
    short = _shortage(error)
    return None if short is None else Blocked(MACHINE_DEPENDENCY, ResourceError(f"{stage} {name}: {short}"))


def _shortage(error: Exception) -> str | None:
    if isinstance(error, MemoryError):
        return "out of memory"
    if isinstance(error, OSError) and error.errno in _SHORT:
        return error.strerror or str(error)
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return str(error)
    return None


def _message(error: Exception, name: str) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{name} can't be read: {error.strerror}"
    return str(error) or type(error).__name__


def _is_retryable(error: Exception) -> bool:
    if isinstance(error, StoreError | TextRefusedError):
        return True  # the next one may take it
    if isinstance(error, OSError):
        return error.errno not in _LASTING
    return bool(getattr(error, "retryable", False))
