"""The worker process: reads files whose descriptors arrive on standard input, and replies on standard output."""

from __future__ import annotations

import errno
import json
import os
from _socket import CMSG_LEN, SCM_RIGHTS, SOL_SOCKET, socket  # the module socket takes 10 ms to load
from collections import deque
from collections.abc import Callable
from typing import NoReturn

from rag_pipeline.errors import (
    CorruptFileError,
    EmptyFileError,
    ExtractionError,
    ExtractionLimitError,
)
from rag_pipeline.ingest.extract.confinement import confine, limit_cpu_time
from rag_pipeline.ingest.extract.input_file import InputFile
from rag_pipeline.ingest.extract.limits import ExtractionLimits
from rag_pipeline.ingest.extract.messages import (
    OUT_OF_MEMORY_EXIT_CODE,
    Decoder,
    Failed,
    Finished,
    ReadRequest,
    TypeFound,
    WorkerMessage,
    WorkerReady,
    encode,
)
from rag_pipeline.ingest.extract.plugins import choose_type
from rag_pipeline.ingest.extract.read_options import ReadOptions
from rag_pipeline.ingest.extract.readers import load_reader
from rag_pipeline.ingest.extract.section_writer import SectionWriter

Send = Callable[[WorkerMessage], None]
ReadFile = Callable[[int, bytes, ExtractionLimits, Send, ReadOptions], Finished]

# One descriptor arrives at a time; with room for more, none is truncated.
_MAX_FILES, _INT_BYTES = 4, 4
# Errors of the disk or the network, not of the file's content.
_STORAGE_ERRORS = frozenset({errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENXIO, errno.ENODEV, errno.EREMOTEIO})

# Exceptions whose text tells about the code of a reader, not about the file.
_MISTAKES = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, UnboundLocalError)


def main(limits_json: str, lifeline: int, read_file: ReadFile | None = None) -> NoReturn:
    """Serve requests until standard input ends; ``read_file`` reads a file in place of the readers."""
    limits = ExtractionLimits(**json.loads(limits_json))
    null = os.open(os.devnull, os.O_RDWR)  # confinement forbids opening files for writing
    requests, replies = _take_pipes(null)
    missing = confine(limits, lifeline)

    def send(message: WorkerMessage) -> None:
        frame = memoryview(encode(message))
        while frame:
            frame = frame[os.write(replies, frame) :]

    send(WorkerReady(missing))
    os.dup2(null, 2)  # until now, the parent reads from it why a worker fails to start
    decoder = Decoder()
    files: deque[int] = deque()
    while data := _receive(requests, files):
        for message in decoder.feed(data):
            if isinstance(message, ReadRequest) and files:
                options = ReadOptions(message.hidden, message.comments)
                serve(files.popleft(), message.name.encode("latin-1"), limits, send, options, read_file)
    os._exit(0)


def _take_pipes(null: int) -> tuple[socket, int]:
    """Duplicate standard input and output, and redirect them to /dev/null for libraries that print or read."""
    requests, replies = socket(fileno=os.dup(0)), os.dup(1)
    os.dup2(null, 0)
    os.dup2(null, 1)
    return requests, replies


def _receive(requests: socket, files: deque[int]) -> bytes:
    """Return bytes of requests, none at the end; append received descriptors to ``files``."""
    data, ancillary, _, _ = requests.recvmsg(1 << 16, CMSG_LEN(_MAX_FILES * _INT_BYTES))
    for level, kind, content in ancillary:
        if (level, kind) == (SOL_SOCKET, SCM_RIGHTS):
            whole = content[: len(content) - len(content) % _INT_BYTES]
            files.extend(memoryview(whole).cast("i"))
    return data


def serve(
    descriptor: int,
    name: bytes,
    limits: ExtractionLimits,
    send: Send,
    options: ReadOptions | None = None,
    read_file: ReadFile | None = None,
) -> None:
    """Read an open file and close it; send its sections, then Finished or Failed."""
    try:
        limit_cpu_time(limits.time_seconds)
        send((read_file or _read)(descriptor, name, limits, send, options or ReadOptions()))
    except MemoryError:
        os._exit(OUT_OF_MEMORY_EXIT_CODE)
    except BrokenPipeError:
        os._exit(0)  # the parent has ended
    except ExtractionError as error:
        send(Failed(type(error).__name__, str(error)))
    except RecursionError:
        send(Failed(CorruptFileError.__name__, "is nested too deeply", of_content=False))
    except OSError as error:
        if error.errno in _STORAGE_ERRORS:
            send(Failed("OSError", error.strerror or str(error), error.errno))
        else:
            send(Failed(CorruptFileError.__name__, _damaged(error), of_content=False))
    except Exception as error:  # noqa: BLE001 - on damaged files, libraries raise any exception
        send(Failed(CorruptFileError.__name__, _damaged(error), of_content=False))


def _damaged(error: Exception) -> str:
    if isinstance(error, _MISTAKES):
        return "is damaged: its content is not as its format asks"
    detail = " ".join(str(error).split())[:160]
    return f"is damaged ({type(error).__name__}: {detail})" if detail else f"is damaged ({type(error).__name__})"


def _read(descriptor: int, name: bytes, limits: ExtractionLimits, send: Send, options: ReadOptions) -> Finished:
    with os.fdopen(descriptor, "rb", buffering=1 << 16) as stream:
        size = os.fstat(descriptor).st_size
        if size == 0:
            raise EmptyFileError("is empty (0 bytes)")
        if size > limits.input_bytes:
            raise ExtractionLimitError(f"is {size:,} bytes, over the limit of {limits.input_bytes:,}")
        file = InputFile(stream, size, os.fsdecode(name), limits, options)
        file_type = choose_type(file)
        send(TypeFound(file_type.mime_type))
        file.stream.seek(0)
        writer = SectionWriter(send, text_bytes=limits.text_bytes)
        read = load_reader(file_type.reader)
        try:
            read(file, writer)
            writer.finish()
        except CorruptFileError as error:
            raise CorruptFileError(f"is a damaged {file_type.label}: {error}") from error
        if writer.is_empty:
            raise EmptyFileError(file_type.no_text)
        quality = writer.quality
        return Finished(
            file_type.mime_type,
            quality.characters,
            quality.odd_characters,
            quality.pages,
            quality.pages_without_text,
            writer.metadata,
        )
