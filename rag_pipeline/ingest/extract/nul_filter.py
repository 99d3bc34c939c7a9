"""Read a file without its NUL bytes, which a crash or a program that reserves space leaves in text."""

from __future__ import annotations

import io
from typing import BinaryIO


class NulFilter(io.BufferedIOBase):
    """A binary stream without the NUL bytes of another one. It can only seek to its start."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """Return at most ``size`` bytes; all, if it is negative or None. No bytes mean the end."""
        while data := self._stream.read(-1 if size is None else size):
            if kept := data.replace(b"\x00", b""):
                return kept
        return b""

    read1 = read

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to the start."""
        if offset or whence:
            raise io.UnsupportedOperation("can only seek to the start")
        return self._stream.seek(0)

    def tell(self) -> int:
        """Return the position in the other stream."""
        return self._stream.tell()

    def close(self) -> None:
        """Close the other stream."""
        self._stream.close()
        super().close()
