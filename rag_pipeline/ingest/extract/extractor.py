"""The extractor: hands files to worker processes and holds each to its limits."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections import deque
from contextlib import suppress

from rag_pipeline.common.private_files import close_memory
from rag_pipeline.errors import (
    ConfigurationError,
    CorruptFileError,
    EmptyFileError,
    EncryptedFileError,
    ExtractionError,
    ExtractionLimitError,
    ExtractorUnavailableError,
    UnsupportedFileTypeError,
)
from rag_pipeline.ingest.extract.limits import ExtractionLimits
from rag_pipeline.ingest.extract.messages import (
    OUT_OF_MEMORY_EXIT_CODE,
    Failed,
    Finished,
    Progressed,
    SectionFound,
    Warned,
)
from rag_pipeline.ingest.extract.open_file import open_regular
from rag_pipeline.ingest.extract.worker_process import WorkerEndedError, WorkerProcess
from rag_pipeline.ingest.types import ExtractedDocument, ProgressCallback, Section, Stopped

_START_SECONDS = 30.0
_TICK_SECONDS = 0.1
_POOL_SECONDS = 0.02
_HEARTBEAT_SECONDS = 0.5
_CLOSE_SECONDS = 3.0

_ERRORS: dict[str, type[ExtractionError]] = {
    error.__name__: error
    for error in (CorruptFileError, EmptyFileError, EncryptedFileError, ExtractionLimitError, UnsupportedFileTypeError)
}

_LACKING = {
    "Landlock": "can read this user's files",
    "seccomp": "can reach the network by UDP and other processes",
    "Landlock and seccomp": "can read this user's files and reach the network",
}

logger = logging.getLogger(__name__)
_told_lacks = False


class ProcessExtractor:
    """Reads the text of files in worker processes; safe to call from several threads.

    ``workers`` files are read at once; further calls wait. Workers start with the first file that needs them, are
    replaced when they die, and end with :meth:`close` or with this process.
    """

    # No lock and no condition: in a host patched for greenlets those wake greenlets of their own thread only. What is
    # shared is a deque, whose single operations are atomic, and waiting is done in short sleeps.

    def __init__(self, limits: ExtractionLimits | None = None, *, workers: int = 1) -> None:
        if isinstance(workers, bool) or not isinstance(workers, int) or not 1 <= workers <= 64:
            raise ConfigurationError(f"workers={workers!r}: expected a whole number from 1 to 64")
        self.limits = limits or ExtractionLimits()
        self._slots = workers
        self._free: deque[WorkerProcess | None] = deque([None] * workers)
        self._closed = False

    def extract(
        self, path: str, *, on_progress: ProgressCallback | None = None, descriptor: int | None = None
    ) -> ExtractedDocument:
        """Return the text of the file at ``path``, in sections with their places.

        With ``descriptor`` it is that open file which is read, from its start, and ``path`` only names it.
        ``on_progress`` gets the fraction done, at least twice a second, also while nothing moves; what it raises
        ends the extraction and comes through. Raises :class:`~rag_pipeline.ingest.types.Stopped` after :meth:`close`,
        the :class:`OSError` of the system if the file is gone or may not be read (worth another try), and else the
        :class:`~rag_pipeline.errors.ExtractionError` that says what is wrong with the file.
        """
        beat = _Heartbeat(on_progress)
        opened: int | None = None
        try:
            if descriptor is None:
                descriptor = opened = open_regular(path)
            return self._extract(descriptor, os.path.basename(path), beat)  # noqa: PTH119 - the name may be no UTF-8
        except ExtractionError as error:
            error.args = (f"{_display_name(path)} {error}",)
            raise
        except OSError as error:
            error.filename = path
            raise
        finally:
            if opened is not None:
                os.close(opened)

    def _extract(self, descriptor: int, name: str, beat: _Heartbeat) -> ExtractedDocument:
        worker = self._take(beat)
        try:
            worker = worker or self._start(beat)
            return self._read(worker, descriptor, name, beat)
        finally:
            self._give_back(worker)

    def close(self) -> None:
        """End the extractions that run (they raise Stopped) and the workers; idempotent, takes at most 3 seconds."""
        self._closed = True
        deadline = time.monotonic() + _CLOSE_SECONDS
        while len(self._free) < self._slots and time.monotonic() < deadline:
            time.sleep(_POOL_SECONDS)
        with suppress(IndexError):  # somebody else closes as well
            for _ in range(len(self._free)):
                worker = self._free.popleft()
                if worker is not None:
                    worker.kill()
                self._free.append(None)

    def __enter__(self) -> ProcessExtractor:
        """Return the extractor."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def _take(self, beat: _Heartbeat) -> WorkerProcess | None:
        """Return a free worker, or None for a place to start one in; wait while all are busy."""
        while True:
            if self._closed:
                raise Stopped("the extractor is closed")
            try:
                worker = self._free.pop()  # the last one used: it is up, and has its modules loaded
            except IndexError:
                time.sleep(_POOL_SECONDS)
                beat.beat()
                continue
            if worker is not None and not worker.is_alive:  # killed between two files
                worker.kill()
                worker = None
            return worker

    def _start(self, beat: _Heartbeat) -> WorkerProcess:
        try:
            worker = WorkerProcess(self.limits)
        except OSError as error:
            raise ExtractorUnavailableError(
                f"is not read: the process for it could not be started ({error.strerror})"
            ) from error
        try:
            deadline = time.monotonic() + _START_SECONDS
            while not worker.is_ready(_TICK_SECONDS):
                self._check_open()
                beat.beat()
                if time.monotonic() > deadline:
                    raise WorkerEndedError(None, f"no answer in {_START_SECONDS:g} seconds")
        except WorkerEndedError as ended:
            worker.kill()
            raise ExtractorUnavailableError(f"is not read: the process for it did not start ({ended})") from None
        except BaseException:
            worker.kill()
            raise
        _tell_lacks(worker.lacks)
        return worker

    def _give_back(self, worker: WorkerProcess | None) -> None:
        """Make room for the next file; a worker that is worn out, or still at work on a file given up, is ended."""
        if worker is not None and (
            self._closed or not worker.idle or worker.files_read >= self.limits.files_per_worker
        ):
            worker.kill()
            worker = None
        self._free.append(worker)

    def _check_open(self) -> None:
        if self._closed:
            raise Stopped("the extractor is closed")

    def _read(self, worker: WorkerProcess, descriptor: int, name: str, beat: _Heartbeat) -> ExtractedDocument:
        deadline = time.monotonic() + self.limits.time_seconds
        sections: list[Section] = []
        text_bytes = 0
        try:
            worker.request(descriptor, name)
            while True:
                for message in worker.receive(min(_TICK_SECONDS, max(0.0, deadline - time.monotonic()))):
                    match message:
                        case SectionFound(locator, text):
                            sections.append(Section(text, locator))
                            text_bytes += len(text)
                        case Progressed(fraction):
                            beat.tell(fraction)
                        case Warned(warning):
                            logger.warning("%s: %s", _display_name(name), warning)
                        case Finished(mime_type):
                            return ExtractedDocument(tuple(sections), mime_type)
                        case Failed():
                            raise _failure(message, name)
                self._check_open()
                beat.beat()
                if time.monotonic() >= deadline:
                    raise _of_machine(self._overrun())
                # The worker counts too; this is for one that a file has led astray.
                if text_bytes > self.limits.text_bytes:
                    raise ExtractionLimitError(f"holds more than {self.limits.text_bytes:,} bytes of text")
        except WorkerEndedError as ended:
            raise self._explain(ended) from None

    def _overrun(self) -> ExtractionLimitError:
        error = ExtractionLimitError(f"took longer than {self.limits.time_seconds:g} seconds to read")
        error.overran = True
        return error

    def _explain(self, ended: WorkerEndedError) -> ExtractionError:
        """Return what the end of a worker says of the file it was reading: never that its content is at fault."""
        return _of_machine(self._cause(ended))

    def _cause(self, ended: WorkerEndedError) -> ExtractionError:
        code = ended.exit_code
        if code == OUT_OF_MEMORY_EXIT_CODE:
            return ExtractionLimitError(f"takes more than {self.limits.memory_bytes:,} bytes of memory to read")
        if code == -signal.SIGXCPU:
            return self._overrun()
        if code == -signal.SIGKILL:  # not this extractor's doing, so the machine's or its administrator's
            error = ExtractionLimitError("was being read when the process was killed, as when memory runs out")
            error.retryable = True
            return error
        what = signal.Signals(-code).name if code and code < 0 else f"exit code {code}"
        return CorruptFileError(f"crashed the process that read it ({what})")


class _Heartbeat:
    """Calls the progress callback on news, and in between, so that it can stop an extraction that is stuck."""

    def __init__(self, on_progress: ProgressCallback | None) -> None:
        self._on_progress = on_progress
        self._fraction = 0.0
        self._next = time.monotonic() + _HEARTBEAT_SECONDS

    def tell(self, fraction: float) -> None:
        self._fraction = fraction
        self._next = time.monotonic() + _HEARTBEAT_SECONDS
        if self._on_progress:
            self._on_progress(fraction)

    def beat(self) -> None:
        if time.monotonic() >= self._next:
            self.tell(self._fraction)


def _of_machine(error: ExtractionError) -> ExtractionError:
    """Mark an error that says nothing about the file's content: the machine's, or one of ours."""
    error.of_content = False
    return error


def _tell_lacks(lacks: str) -> None:
    """Log once what the kernel has not to confine workers by."""
    global _told_lacks
    if not lacks or _told_lacks:
        return
    _told_lacks = True
    if "Landlock" in lacks:
        close_memory()  # a worker could otherwise read this process's environment, and the tokens in it
    logger.warning(
        "this system has no %s: a document that takes over the process that reads it %s", lacks, _LACKING[lacks]
    )


def _failure(message: Failed, path: str) -> Exception:
    if message.error == "OSError":
        return OSError(message.errno, message.message, path)
    error = _ERRORS.get(message.error, ExtractionError)(message.message)
    return error if message.of_content else _of_machine(error)


def _display_name(path: str) -> str:
    """Return the file's name as it can be printed and sent: bytes that are no UTF-8 as ``\\xff``."""
    return os.fsencode(os.path.basename(path)).decode("utf-8", "backslashreplace")  # noqa: PTH119
