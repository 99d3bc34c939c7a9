"""The protocol between the extractor and its worker process: typed records in length-prefixed JSON.

A frame is a big-endian length of four bytes and a JSON array of the record's name and fields. Frames are small, so
decoding one never holds the GIL for long.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import astuple, dataclass, field
from typing import get_args

MAX_FRAME_BYTES = 1 << 20
OUT_OF_MEMORY_EXIT_CODE = 77
"""Exit code of a worker that reached its memory limit: it has no memory left to send a frame."""

_LENGTH = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """Request to read the file whose descriptor is sent along; ``name`` is its raw bytes, decoded as Latin-1.

    The other fields are those of ``ReadOptions``.
    """

    name: str
    hidden: bool = False
    comments: bool = True


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """The worker is up and confined; ``missing`` names the mechanisms that the kernel lacks, such as Landlock."""

    missing: str = ""


@dataclass(frozen=True, slots=True)
class TypeFound:
    """The file's type has been recognised."""

    mime_type: str


@dataclass(frozen=True, slots=True)
class SectionFound:
    """A section of the text, in reading order."""

    locator: str
    text: str


@dataclass(frozen=True, slots=True)
class Progressed:
    """The fraction of the file that has been read, 0..1."""

    fraction: float


@dataclass(frozen=True, slots=True)
class PagesRead:
    """The number of pages that have been read so far, of ``all_pages`` (0 if unknown)."""

    pages: int
    all_pages: int
    without_text: int


@dataclass(frozen=True, slots=True)
class Warned:
    """A fault of the text; a later one of the same type and message replaces it, with a higher count."""

    type: str
    message: str
    count: int


@dataclass(frozen=True, slots=True)
class Finished:
    """The whole file has been read; the other fields are those of ``TextQuality`` and ``ExtractedDocument``."""

    mime_type: str
    characters: int = 0
    odd_characters: float = 0.0
    pages: int | None = None
    pages_without_text: int | None = None
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failed:
    """Reading failed: the error's class name, a sentence, and ``errno`` for an error of the system.

    ``of_content`` is False if the error may not be due to the file's content, such as an unexpected exception.
    """

    error: str
    message: str
    errno: int | None = None
    of_content: bool = True


WorkerMessage = (
    ReadRequest | WorkerReady | TypeFound | SectionFound | Progressed | PagesRead | Warned | Finished | Failed
)

_MESSAGE_TYPES: dict[str, type[WorkerMessage]] = {cls.__name__: cls for cls in get_args(WorkerMessage)}


class ProtocolError(Exception):
    """The bytes are not a frame of this protocol."""


def encode(message: WorkerMessage) -> bytes:
    """Return the frame of a message."""
    body = json.dumps([type(message).__name__, *astuple(message)], separators=(",", ":")).encode()
    return _LENGTH.pack(len(body)) + body


class Decoder:
    """Decodes messages from a stream of bytes."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[WorkerMessage]:
        """Yield the messages that ``data`` completes; raises :class:`ProtocolError`."""
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > MAX_FRAME_BYTES:
                raise ProtocolError(f"a frame of {length} bytes")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_LENGTH.size : end])
            del self._buffer[:end]
            yield _decode_body(body)


def _decode_body(body: bytes) -> WorkerMessage:
    try:
        name, *values = json.loads(body)
        message: WorkerMessage = _MESSAGE_TYPES[name](*values)
    except (ValueError, TypeError, KeyError) as error:
        raise ProtocolError(f"not a message: {body[:80]!r}") from error
    return message
