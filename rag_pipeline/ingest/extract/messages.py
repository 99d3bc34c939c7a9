"""What the extractor and its worker process say to each other: typed records in length-prefixed JSON.

A frame is four bytes of length, big-endian, and a JSON array of the record's name and fields. Frames are small, so that
decoding one never holds the interpreter for long: other threads of the process go on between them.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import astuple, dataclass

MAX_FRAME_BYTES = 1 << 20
OUT_OF_MEMORY_EXIT_CODE = 77
"""What a worker exits with that ran into its memory bound: it has no memory left to say so in a frame."""

_LENGTH = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """Read the file whose descriptor comes along. ``name`` is the file system's own bytes, one character for each."""

    name: str


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """The worker is up and confined; ``lacks`` names what the kernel has not for it, such as Landlock."""

    lacks: str = ""


@dataclass(frozen=True, slots=True)
class SectionFound:
    """A section of the text, in reading order."""

    locator: str
    text: str


@dataclass(frozen=True, slots=True)
class Progressed:
    """The fraction of the file that is done, 0..1."""

    fraction: float


@dataclass(frozen=True, slots=True)
class Warned:
    """Something was left out of the text."""

    message: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The whole file was read."""

    mime_type: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The file gave no text: the name of the error, a sentence, and ``errno`` if the system refused the file.

    ``of_content`` is False if the reader did not say so itself, but failed in a way nobody foresaw.
    """

    error: str
    message: str
    errno: int | None = None
    of_content: bool = True


WorkerMessage = ReadRequest | WorkerReady | SectionFound | Progressed | Warned | Finished | Failed

_KINDS = {
    kind.__name__: kind for kind in (ReadRequest, WorkerReady, SectionFound, Progressed, Warned, Finished, Failed)
}


class ProtocolError(Exception):
    """The bytes are no frame of this protocol: the other side is broken."""


def encode(message: WorkerMessage) -> bytes:
    """Return the frame of a message."""
    body = json.dumps([type(message).__name__, *astuple(message)], separators=(",", ":")).encode()
    return _LENGTH.pack(len(body)) + body


class Decoder:
    """Takes bytes as they arrive and gives the messages that are complete."""

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
        message: WorkerMessage = _KINDS[name](*values)
    except (ValueError, TypeError, KeyError) as error:
        raise ProtocolError(f"not a message: {body[:80]!r}") from error
    return message
