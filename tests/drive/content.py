"""File contents: bytes in memory, and bytes generated while they are served."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Protocol

PIECE_BYTES = 1 << 18
BLOCK_BYTES = 1 << 20
WORDS = ("falcon", "harbour", "lantern", "meadow", "orchid", "pebble", "quarry", "saddle", "timber", "violet", "walnut")


class Content(Protocol):
    """Bytes of known size and MD5, of which any range can be read."""

    @property
    def size(self) -> int:
        """Size in bytes."""

    @property
    def md5(self) -> str:
        """MD5 in hex."""

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes from ``start`` up to but without ``end``, piece by piece."""


@dataclass(frozen=True)
class Held:
    """Bytes in memory."""

    data: bytes
    md5: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "md5", hashlib.md5(self.data, usedforsecurity=False).hexdigest())

    @property
    def size(self) -> int:
        """Size in bytes."""
        return len(self.data)

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """Yield a range in pieces, so that a cut can fall between them."""
        for at in range(start, end, PIECE_BYTES):
            yield self.data[at : min(at + PIECE_BYTES, end)]


@dataclass(frozen=True)
class Generated:
    """Printable lines, deterministic for a seed; only one block is in memory."""

    size: int
    seed: int = 0

    @property
    def md5(self) -> str:
        """MD5, computed once: about two seconds for each GB."""
        return _md5_of(self)

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """Yield a range, which repeats the same block."""
        block = memoryview(_block(self.seed))
        end = min(end, self.size)
        while start < end:
            offset = start % BLOCK_BYTES
            piece = block[offset : min(BLOCK_BYTES, offset + end - start)]
            yield bytes(piece)
            start += len(piece)


def content_of(content: bytes | str | Content) -> Content:
    """Return the content for bytes, text or a generator."""
    if isinstance(content, str):
        return Held(content.encode())
    return Held(content) if isinstance(content, bytes) else content


def whole(content: Content) -> bytes:
    """Return all bytes of small content."""
    return b"".join(content.read(0, content.size))


@cache
def _block(seed: int) -> bytes:
    chosen = random.Random(seed)
    made = bytearray()
    while len(made) < BLOCK_BYTES:
        made += " ".join(chosen.choices(WORDS, k=11)).encode() + b".\n"
    return bytes(made[:BLOCK_BYTES])


@cache
def _md5_of(content: Generated) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    for piece in content.read(0, content.size):
        digest.update(piece)
    return digest.hexdigest()
