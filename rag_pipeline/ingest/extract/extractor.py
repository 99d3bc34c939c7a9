"""The extractor: passes files to worker processes and enforces the limits."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections import deque
from contextlib import suppress
from pathlib import Path

from rag_pipeline.common.private_files import hide_memory
from rag_pipeline.errors import (
    ConfigurationError,
    CorruptFileError,
    EmptyFileError,
    EncryptedFileError,
    ExtractionError,
    ExtractionLimitError,
    ExtractorUnavailableError,
    UnreadableTextError,
    UnsupportedFileTypeError,
)
from rag_pipeline.ingest.extract.document_builder import DocumentBuilder
from rag_pipeline.ingest.extract.limits import ExtractionLimits
from rag_pipeline.ingest.extract.messages import (
    OUT_OF_MEMORY_EXIT_CODE,
    Failed,
    Finished,
    Progressed,
)
from rag_pipeline.ingest.extract.open_file import open_regular
from rag_pipeline.ingest.extract.read_options import ReadOptions
from rag_pipeline.ingest.extract.worker_process import WorkerEndedError, WorkerProcess
from rag_pipeline.ingest.types import ExtractedDocument, ProgressCallback, Stopped

_START_SECONDS = 30.0
_TICK_SECONDS = 0.1
_POOL_SECONDS = 0.02
_HEARTBEAT_SECONDS = 0.5
_CLOSE_SECONDS = 3.0

# Text of a part that is so much larger than its file is a bomb's, of which no part is worth keeping.
_MAX_TEXT_PER_BYTE = 50

# C libraries abort when memory runs out.
_OUT_OF_MEMORY = frozenset({OUT_OF_MEMORY_EXIT_CODE, -signal.SIGABRT})

_ERRORS: dict[str, type[ExtractionError]] = {
    error.__name__: error
    for error in (
        CorruptFileError,
        EmptyFileError,
        EncryptedFileError,
        ExtractionLimitError,
        UnreadableTextError,
        UnsupportedFileTypeError,
    )
}

_RISKS = {
    "Landlock": "can read this user's files",
    "seccomp": "can reach the network by UDP and other processes",
    "Landlock and seccomp": "can read this user's files and reach the network",
}

logger = logging.getLogger(__name__)
_has_warned = False


class ProcessExtractor:
    """Reads the text of files in worker processes; thread-safe.

    Up to ``workers`` files are read at once; further calls wait. Workers start on demand, are replaced when they die,
    and end with :meth:`close` or with this process.
    """

    # No locks or conditions: in a host patched for greenlets, they wake only greenlets of the same thread. The shared
    # state is a deque, whose operations are atomic, and callers wait in short sleeps.

    def __init__(
        self,
        limits: ExtractionLimits | None = None,
        *,
        workers: int = 1,
        options: ReadOptions | None = None,
        launcher: Path | None = None,
    ) -> None:
        """Take the script of the worker process from ``launcher``, if given."""
        if isinstance(workers, bool) or not isinstance(workers, int) or not 1 <= workers <= 64:
            raise ConfigurationError(f"workers={workers!r}: expected a whole number from 1 to 64")
        self.limits = limits or ExtractionLimits()
        self.options = options or ReadOptions()
        self._launcher = launcher
        self._slots = workers
        self._free: deque[WorkerProcess | None] = deque([None] * workers)
        self._closed = False

    def extract(
        self, path: str, *, on_progress: ProgressCallback | None = None, descriptor: int | None = None
    ) -> ExtractedDocument:
        """Return the text of the file at ``path``, in sections with locators.

        If ``descriptor`` is given, that open file is read from its start, and ``path`` only names it. ``on_progress``
        receives the fraction done at least twice a second, even without progress; if it raises, the extraction ends and
        the exception propagates. Raises :class:`~rag_pipeline.ingest.types.Stopped` after :meth:`close`, OSError if the
        file is missing or unreadable (worth a retry), and otherwise an
        :class:`~rag_pipeline.errors.ExtractionError` that says what is wrong with the file. If the time or the memory
        runs out, the text up to there is returned with a warning.
        """
        heartbeat = _Heartbeat(on_progress)
        opened: int | None = None
        try:
            if descriptor is None:
                descriptor = opened = open_regular(path)
            name = os.path.basename(path)  # noqa: PTH119 - the name may not be UTF-8
            return self._extract(descriptor, name, heartbeat)
        except ExtractionError as error:
            error.args = (f"{_display_name(path)} {error}",)
            raise
        except OSError as error:
            error.filename = path
            raise
        finally:
            if opened is not None:
                os.close(opened)

    def _extract(self, descriptor: int, name: str, heartbeat: _Heartbeat) -> ExtractedDocument:
        worker = self._acquire(heartbeat)
        try:
            worker = worker or self._start(heartbeat)
            return self._read(worker, descriptor, name, heartbeat)
        finally:
            self._release(worker)

    def close(self) -> None:
        """Stop running extractions (they raise Stopped) and end the workers; idempotent, takes at most 3 seconds."""
        self._closed = True
        deadline = time.monotonic() + _CLOSE_SECONDS
        while len(self._free) < self._slots and time.monotonic() < deadline:
            time.sleep(_POOL_SECONDS)
        with suppress(IndexError):  # another thread is closing too
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

    def _acquire(self, heartbeat: _Heartbeat) -> WorkerProcess | None:
        """Wait for a free slot; return its worker, or None if one is to be started."""
        while True:
            self._check_open()
            try:
                worker = self._free.pop()  # the last one used: its modules are loaded
            except IndexError:
                time.sleep(_POOL_SECONDS)
                heartbeat.beat()
                continue
            if worker is not None and not worker.is_alive:  # it was killed between two files
                worker.kill()
                worker = None
            return worker

    def _start(self, heartbeat: _Heartbeat) -> WorkerProcess:
        try:
            worker = WorkerProcess(self.limits, self._launcher)
        except OSError as error:
            raise ExtractorUnavailableError(
                f"was not read: the worker process could not be started ({error.strerror})"
            ) from error
        try:
            deadline = time.monotonic() + _START_SECONDS
            while not worker.is_ready(_TICK_SECONDS):
                self._check_open()
                heartbeat.beat()
                if time.monotonic() > deadline:
                    raise WorkerEndedError(None, f"no answer in {_START_SECONDS:g} seconds")
        except WorkerEndedError as ended:
            worker.kill()
            raise ExtractorUnavailableError(f"was not read: the worker process did not start ({ended})") from None
        except BaseException:
            worker.kill()
            raise
        _warn_once(worker.missing)
        return worker

    def _release(self, worker: WorkerProcess | None) -> None:
        """Free the slot. End the worker if it is still reading, has read its share of files, or after close."""
        if worker is not None and (
            self._closed or not worker.is_idle or worker.files_read >= self.limits.files_per_worker
        ):
            worker.kill()
            worker = None
        self._free.append(worker)

    def _check_open(self) -> None:
        if self._closed:
            raise Stopped("the extractor is closed")

    def _read(self, worker: WorkerProcess, descriptor: int, name: str, heartbeat: _Heartbeat) -> ExtractedDocument:
        deadline = time.monotonic() + self.limits.wall_seconds
        builder = DocumentBuilder()
        try:
            worker.request(descriptor, name, self.options)
            while True:
                for message in worker.receive(min(_TICK_SECONDS, max(0.0, deadline - time.monotonic()))):
                    match message:
                        case Progressed(fraction):
                            heartbeat.report(fraction)
                        case Finished():
                            return builder.whole(message)
                        case Failed():
                            raise _failure(message, name)
                        case _:
                            builder.add(message)
                self._check_open()
                heartbeat.beat()
                if time.monotonic() >= deadline:
                    raise _not_of_content(_overrun(f"was not read within {self.limits.wall_seconds:,.0f} seconds"))
                # The worker checks this too, but a malicious file may have taken it over.
                if builder.text_bytes > self.limits.text_bytes:
                    raise ExtractionLimitError(f"holds more than {self.limits.text_bytes:,} bytes of text")
        except WorkerEndedError as ended:
            is_bomb = builder.text_bytes > _MAX_TEXT_PER_BYTE * os.fstat(descriptor).st_size
            if not builder.is_empty and not is_bomb and (document := self._part(builder, ended.exit_code)):
                return document
            raise _not_of_content(self._error_for(ended)) from None

    def _part(self, builder: DocumentBuilder, exit_code: int | None) -> ExtractedDocument | None:
        """Return the text that was read before a limit ended the worker; None if something else did."""
        if exit_code == -signal.SIGXCPU:
            return builder.part("time_limit", f"{self.limits.time_seconds:g} s")
        if exit_code in _OUT_OF_MEMORY:
            return builder.part("memory_limit", f"{self.limits.memory_bytes >> 20:,} MiB of memory")
        return None

    def _error_for(self, ended: WorkerEndedError) -> ExtractionError:
        """Return the error for the file that the worker was reading when it ended."""
        code = ended.exit_code
        if code in _OUT_OF_MEMORY:
            return ExtractionLimitError(f"takes more than {self.limits.memory_bytes:,} bytes of memory to read")
        if code == -signal.SIGXCPU:
            return _overrun(f"took longer than {self.limits.time_seconds:g} seconds to read")
        if code == -signal.SIGKILL:  # by the kernel or an administrator, not by this extractor
            error = ExtractionLimitError(
                "was being read when the worker process was killed; the system may be out of memory"
            )
            error.retryable = True
            return error
        what = signal.Signals(-code).name if code and code < 0 else f"exit code {code}"
        return CorruptFileError(f"crashed the process that read it ({what})")


class _Heartbeat:
    """Calls the progress callback with each new fraction, and regularly, so that it can stop a stuck extraction."""

    def __init__(self, on_progress: ProgressCallback | None) -> None:
        self._on_progress = on_progress
        self._fraction = 0.0
        self._next = time.monotonic() + _HEARTBEAT_SECONDS

    def report(self, fraction: float) -> None:
        self._fraction = fraction
        self._next = time.monotonic() + _HEARTBEAT_SECONDS
        if self._on_progress:
            self._on_progress(fraction)

    def beat(self) -> None:
        if time.monotonic() >= self._next:
            self.report(self._fraction)


def _not_of_content(error: ExtractionError) -> ExtractionError:
    """Mark an error as not due to the file's content: the machine or this package may be the cause."""
    error.of_content = False
    return error


def _overrun(reason: str) -> ExtractionLimitError:
    error = ExtractionLimitError(reason)
    error.overran = True
    return error


def _warn_once(missing: str) -> None:
    """Log once which confinement mechanisms the kernel lacks, and the risk."""
    global _has_warned
    if not missing or _has_warned:
        return
    _has_warned = True
    if "Landlock" in missing:
        hide_memory()  # else a worker could read this process's environment, and the tokens in it
    logger.warning(
        "this system has no %s: a document that takes over the process that reads it %s", missing, _RISKS[missing]
    )


def _failure(message: Failed, path: str) -> Exception:
    if message.error == "OSError":
        return OSError(message.errno, message.message, path)
    error = _ERRORS.get(message.error, ExtractionError)(message.message)
    return error if message.of_content else _not_of_content(error)


def _display_name(path: str) -> str:
    """Return the file's name for printing and sending; bytes that are not UTF-8 become ``\\xff``."""
    return os.fsencode(os.path.basename(path)).decode("utf-8", "backslashreplace")  # noqa: PTH119
