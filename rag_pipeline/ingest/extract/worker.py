"""The worker process: takes one file after another from its standard input, and answers on its standard output."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO, NoReturn

from rag_pipeline.errors import (
    CorruptFileError,
    EmptyFileError,
    ExtractionError,
    ExtractionLimitError,
    UnsupportedFileTypeError,
)
from rag_pipeline.ingest.extract.confine import allow_processor_time, confine
from rag_pipeline.ingest.extract.filetype import recognise
from rag_pipeline.ingest.extract.limits import ExtractionLimits
from rag_pipeline.ingest.extract.messages import (
    OUT_OF_MEMORY_EXIT_CODE,
    Decoder,
    Failed,
    Finished,
    Message,
    Ready,
    Request,
    encode,
)
from rag_pipeline.ingest.extract.output import Output
from rag_pipeline.ingest.extract.readers import load_reader
from rag_pipeline.ingest.extract.source import Source

Send = Callable[[Message], None]

_SPECIAL_FILES = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
# The disk or the network failed, not the file's format.
_STORAGE_ERRORS = frozenset({errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENXIO, errno.ENODEV, errno.EREMOTEIO})


def main(limits_json: str, lifeline: int) -> NoReturn:
    """Serve requests until standard input ends."""
    limits = ExtractionLimits(**json.loads(limits_json))
    requests, replies = _take_pipes()
    confine(limits, lifeline)

    def send(message: Message) -> None:
        frame = memoryview(encode(message))
        while frame:
            frame = frame[os.write(replies, frame) :]

    send(Ready())
    _silence(2)  # until here it told the parent why a worker could not start
    decoder = Decoder()
    while data := os.read(requests, 1 << 16):
        for message in decoder.feed(data):
            if isinstance(message, Request):
                serve(message.path.encode("latin-1"), limits, send)
    os._exit(0)


def _take_pipes() -> tuple[int, int]:
    """Move the two pipes out of the way of libraries that print or read."""
    requests, replies = os.dup(0), os.dup(1)
    _silence(0)
    _silence(1)
    return requests, replies


def _silence(descriptor: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, descriptor)
    os.close(null)


def serve(path: bytes, limits: ExtractionLimits, send: Send) -> None:
    """Read one file and send its sections, then Finished or Failed."""
    try:
        allow_processor_time(limits.time_seconds)
        send(Finished(_read(path, limits, send)))
    except MemoryError:
        os._exit(OUT_OF_MEMORY_EXIT_CODE)
    except BrokenPipeError:
        os._exit(0)  # the parent is gone
    except ExtractionError as error:
        send(Failed(type(error).__name__, str(error)))
    except _RefusedError as error:
        send(Failed("OSError", error.cause.strerror or str(error.cause), error.cause.errno))
    except RecursionError:
        send(Failed(CorruptFileError.__name__, "is nested too deeply", of_content=False))
    except OSError as error:
        if error.errno in _STORAGE_ERRORS:
            send(Failed("OSError", error.strerror or str(error), error.errno))
        else:
            send(Failed(CorruptFileError.__name__, _damaged(error), of_content=False))
    except Exception as error:  # noqa: BLE001 - libraries raise anything at all on damaged files
        send(Failed(CorruptFileError.__name__, _damaged(error), of_content=False))


def _damaged(error: Exception) -> str:
    detail = " ".join(str(error).split())[:160]
    return f"is damaged ({type(error).__name__}: {detail})" if detail else f"is damaged ({type(error).__name__})"


class _RefusedError(Exception):
    """The system did not let the file be opened."""

    def __init__(self, cause: OSError) -> None:
        self.cause = cause


def _read(path: bytes, limits: ExtractionLimits, send: Send) -> str:
    with _open(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size == 0:
            raise EmptyFileError("is empty (0 bytes)")
        if size > limits.input_bytes:
            raise ExtractionLimitError(f"is {size:,} bytes, over the limit of {limits.input_bytes:,}")
        source = Source(stream, size, os.path.basename(os.fsdecode(path)), limits)  # noqa: PTH119 - bytes may be no UTF-8
        file_type = recognise(source)
        source.stream.seek(0)
        output = Output(send, text_bytes=limits.text_bytes)
        read = load_reader(file_type.reader)
        try:
            read(source, output)
            output.flush()
        except CorruptFileError as error:
            raise CorruptFileError(f"is a damaged {file_type.label}: {error}") from error
        if output.is_empty:
            raise EmptyFileError(file_type.no_text)
        return file_type.mime_type


def _open(path: bytes) -> BinaryIO:
    """Open a regular file; anything else is refused without an open that could wait or set a device in motion."""
    try:
        _refuse_special(os.stat(path).st_mode)  # noqa: PTH116 - bytes
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        raise _RefusedError(error) from error
    stream = os.fdopen(descriptor, "rb", buffering=1 << 16)
    try:
        _refuse_special(os.fstat(descriptor).st_mode)  # again: the path may name something else by now
        with suppress(OSError):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
    except BaseException:
        stream.close()
        raise
    return stream


def _refuse_special(mode: int) -> None:
    for is_kind, label in _SPECIAL_FILES:
        if is_kind(mode):
            raise UnsupportedFileTypeError(f"is {label}, not a file")
