"""One file through the stages: extract → chunk → embed → store, each shown as it happens."""

from __future__ import annotations

import errno
import os
import stat
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from typing import Any, Protocol

from rag_pipeline.errors import EmptyFileError, ExtractionLimitError, StoreError, UnsupportedFileTypeError
from rag_pipeline.ingest.types import Chunk, Document, Embedder, Extractor, Progress, SourceFile, Stopped, VectorStore
from rag_pipeline.status import PipelineStatus

EXTRACTING, CHUNKING, EMBEDDING, STORING = "extracting", "chunking", "embedding", "storing"
SCANNING, WAITING, INTERRUPTED = "scanning", "waiting", "interrupted"

_HASH_BLOCK_BYTES = 1 << 20
_LOOK_AGAIN_SECONDS = 0.25
# What only a person can change; all other errors of the file system may pass.
_LASTING = frozenset({errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG, errno.EISDIR})


class Chunker(Protocol):
    """Cuts a document into pieces that the embedder takes; safe to call from several threads."""

    def chunk(self, document: Document, *, on_progress: Progress | None = None) -> Sequence[Chunk]:
        """Return the chunks in reading order, numbered from 0; none for a document without words."""
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


@dataclass(frozen=True, slots=True)
class Item:
    """A file to ingest: its local ``path``, and what the store keeps of it. ``version`` is what the source calls it."""

    file_id: str
    name: str
    path: str
    uri: str
    size: int
    modified_at: float
    version: str


class End(StrEnum):
    """How the work on a file ended. The last three leave it where it was: it is not done."""

    STORED = "stored"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    FAILED = "failed"
    CHANGED = "changed"
    GONE = "gone"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Result:
    """The end of the work on one file; ``error`` has the shape that the status shows."""

    end: End
    fingerprint: str | None = None
    chunks: int = 0
    mime_type: str | None = None
    error: Mapping[str, Any] | None = None

    @property
    def retryable(self) -> bool:
        """Whether another try, with nothing changed, may end otherwise."""
        return self.error is not None and bool(self.error["retryable"])


class Ingestion:
    """Takes files through the stages; safe to call from several threads.

    :meth:`work` does it and shows the stages, :meth:`report` shows the end. Between the two the caller writes down
    what was done, so that nothing is seen as done that a crash could still undo.
    """

    def __init__(self, status: PipelineStatus, parts: Parts, scope: str, stop: threading.Event) -> None:
        self._status = status
        self._parts = parts
        self._scope = scope
        self._stop = stop
        self._shown: set[str] = set()  # in flight as far as the status goes; set operations are atomic

    def work(self, item: Item, stored: str | None, version_now: Callable[[], str]) -> Result:
        """Bring the store up to date with the file; ``stored`` is the fingerprint the store has of it, if any.

        Never raises for anything the file, the model or the store does: that is what the result says.
        """
        work = _Work(self, item, version_now)
        try:
            fingerprint = work.fingerprint()
            if fingerprint == stored:
                return Result(End.UNCHANGED, fingerprint)
            return work.store(fingerprint)
        except _Outdated as outdated:
            return Result(outdated.end)
        except Stopped:
            return Result(End.STOPPED)
        except FileNotFoundError:
            return Result(End.GONE)
        except Exception as error:  # noqa: BLE001 - one bad file never stops the rest
            return work.failed(error)

    def report(self, item: Item, result: Result) -> None:
        """Show how the work ended; for a file that is gone, :meth:`deleted` does."""
        status, name, key = self._status, item.name, item.file_id
        shown = key in self._shown
        if result.end in (End.CHANGED, End.STOPPED):
            if shown:
                status.file_progress(name, WAITING if result.end is End.CHANGED else INTERRUPTED, file_id=key)
            return
        if result.end is End.UNCHANGED and not shown:
            return
        self._show(item)
        self._shown.discard(key)
        if result.end is End.SKIPPED:
            assert result.error is not None
            status.skip_file(name, result.error["message"], file_id=key)
        elif result.end is End.FAILED:
            status.complete_file(name, success=False, file_id=key, error=result.error)
        else:
            about = {"chunks": result.chunks, "mime_type": result.mime_type}
            status.complete_file(name, file_id=key, result=about if result.end is End.STORED else {"unchanged": True})

    @property
    def pipeline_id(self) -> str:
        """The identity of the pipeline whose files these are."""
        return self._status.pipeline_id

    def is_shown(self, file_id: str) -> bool:
        """Return whether the status has the file in flight."""
        return file_id in self._shown

    def noted(self, name: str, file_id: str, reason: str, *, is_error: bool) -> None:
        """Show something that can't be read as a file: skipped, or failed if it should be readable."""
        self._shown.discard(file_id)
        if not is_error:
            self._status.skip_file(name, reason, file_id=file_id)
            return
        self._status.add_processing_file(name, file_id)
        error = {"type": "Unreadable", "message": f"{name}: {reason}", "stage": SCANNING, "retryable": True}
        self._status.complete_file(name, success=False, file_id=file_id, error=error)

    def deleted(self, name: str, file_id: str) -> None:
        """Show that a file's source is gone."""
        self._shown.discard(file_id)
        self._status.delete_file(name, file_id=file_id)

    def _show(self, item: Item, *, again: bool = False) -> None:
        if again or item.file_id not in self._shown:
            self._shown.add(item.file_id)
            self._status.add_processing_file(item.name, item.file_id, size=item.size)


class _Outdated(Stopped):
    """The file is no longer what is being worked on; a ``Stopped``, since the stages let that pass."""

    def __init__(self, end: End) -> None:
        super().__init__(end)
        self.end = end


class _Work:
    """The work on one file, with the stage it is in."""

    def __init__(self, ingestion: Ingestion, item: Item, version_now: Callable[[], str]) -> None:
        self._ingestion = ingestion
        self._status = ingestion._status
        self._parts = ingestion._parts
        self._item = item
        self._version_now = version_now
        self._stage_name = EXTRACTING
        self._looked_at = time.monotonic()

    def fingerprint(self) -> str:
        """Return the hash of content and recipe; a file over the limit is refused by its size, unread."""
        item, limit = self._item, self._parts.input_limit_bytes
        if item.size > limit:
            raise ExtractionLimitError(f"{item.name} is {item.size:,} bytes, over the limit of {limit:,}")
        digest = blake2b(digest_size=20)
        # A named pipe that has taken the file's place would otherwise block for ever.
        descriptor = os.open(item.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise FileNotFoundError(errno.ENOENT, "is no longer a file", item.path)
            read = 0
            while block := os.read(descriptor, _HASH_BLOCK_BYTES):
                self._check()
                digest.update(block)
                read += len(block)
                if read > limit:
                    raise ExtractionLimitError(f"{item.name} has grown over the limit of {limit:,} bytes")
        finally:
            os.close(descriptor)
        return f"{digest.hexdigest()}-{self._parts.recipe}"

    def store(self, fingerprint: str) -> Result:
        """Extract, chunk, embed and store."""
        parts, item = self._parts, self._item
        self._ingestion._show(item, again=True)
        self._stage(EXTRACTING, 0.0)
        document = parts.extractor.extract(item.path, on_progress=self._progress)
        self._look()
        self._stage(CHUNKING, 0.0)
        chunks = parts.chunker.chunk(document, on_progress=self._progress)
        if not chunks:
            raise EmptyFileError(f"{item.name} has no text in it")
        self._stage(EMBEDDING, 0.0)
        vectors = parts.embedder.embed([chunk.text for chunk in chunks], on_progress=self._progress)
        self._look()
        self._stage(STORING)
        source = SourceFile(
            item.file_id, item.name, item.uri, fingerprint, item.size, document.mime_type, item.modified_at
        )
        parts.store.replace(self._ingestion._scope, source, chunks, vectors)
        return Result(End.STORED, fingerprint, len(chunks), document.mime_type)

    def failed(self, error: Exception) -> Result:
        """Return what an error means: the file was half written, is not for us, or failed."""
        try:
            if self._version_now() != self._item.version:
                return Result(End.CHANGED)
        except FileNotFoundError:
            return Result(End.GONE)
        except OSError:
            pass  # the error at hand says more
        if self._ingestion._stop.is_set():
            return Result(End.STOPPED)
        skipped = isinstance(error, (UnsupportedFileTypeError, EmptyFileError))
        shown = {
            "type": type(error).__name__,
            "message": _message(error, self._item.name),
            "stage": self._stage_name,
            "retryable": _is_retryable(error),
        }
        return Result(End.SKIPPED if skipped else End.FAILED, error=shown)

    def _stage(self, stage: str, fraction: float | None = None) -> None:
        self._check()
        self._stage_name = stage
        self._status.file_progress(self._item.name, stage, fraction, file_id=self._item.file_id)

    def _progress(self, fraction: float) -> None:
        # A large file takes minutes, which are for nothing once it is deleted or written anew.
        if time.monotonic() - self._looked_at >= _LOOK_AGAIN_SECONDS:
            self._look()
        self._stage(self._stage_name, min(1.0, max(0.0, fraction)))

    def _look(self) -> None:
        """Raise if the file is gone or another one; what can't be told now is no reason to leave it."""
        try:
            now = self._version_now()
        except FileNotFoundError:
            raise _Outdated(End.GONE) from None
        except OSError:
            now = self._item.version
        self._looked_at = time.monotonic()
        if now != self._item.version:
            raise _Outdated(End.CHANGED)

    def _check(self) -> None:
        if self._ingestion._stop.is_set():
            raise Stopped


def _message(error: Exception, name: str) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{name} can't be read: {error.strerror}"
    return str(error) or type(error).__name__


def _is_retryable(error: Exception) -> bool:
    if isinstance(error, StoreError):
        return True  # it says nothing about the file
    if isinstance(error, OSError):
        return error.errno not in _LASTING
    return bool(getattr(error, "retryable", False))
