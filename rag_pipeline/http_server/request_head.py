"""Collects the head of a request and finds its end, independent of sockets."""

from __future__ import annotations

import re
from enum import StrEnum

REQUEST_LINE = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64} [\x21-\x7e\x80-\xff]+ HTTP/[0-9]{1,3}\.[0-9]{1,3}\r?\n")
EMPTY_LINES = 3
"""Empty lines that may precede a request: some clients send one after a body."""

_TOKEN_START = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]")
_END = re.compile(rb"\n\r?\n")
_EMPTY_LINE = re.compile(rb"\r?\n")


class HeadStage(StrEnum):
    """Why a head is handled now; all but ``WHOLE`` get an error response."""

    WHOLE = "whole"
    GARBAGE = "garbage"
    TOO_LONG = "too long"
    TOO_SLOW = "too slow"
    CUT = "cut"


class HeadBuffer:
    """The bytes of the next request up to the end of its headers, ``limit_bytes`` at most.

    ``stage`` is None while more bytes are needed. Bytes behind the head are kept for the next request.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.stage: HeadStage | None = None
        self._limit = limit_bytes
        self._buffer = bytearray()
        self._begin()

    def _begin(self) -> None:
        self.stage = None
        self._empty_lines = 0
        self._line_end = 0
        self._scanned = 0
        self._end = 0

    @property
    def begun(self) -> bool:
        """Whether any byte of the request has arrived."""
        return bool(self._buffer) or self._empty_lines > 0

    def feed(self, data: bytes) -> None:
        """Add received bytes."""
        self._buffer += data
        if self.stage is None:
            self.stage = self._examine()

    def take(self) -> bytes:
        """Return the head, and start on the next one."""
        head = bytes(self._buffer[: self._end]) if self.stage is HeadStage.WHOLE else bytes(self._buffer)
        del self._buffer[: len(head)]
        self._begin()
        self.stage = self._examine()
        return head

    def _examine(self) -> HeadStage | None:
        if self._line_end == 0 and (found := self._examine_line()) is not None:
            return found
        if self._line_end == 0:
            return None
        # Each byte is scanned once: a client that sends byte by byte costs no more than any other.
        found_end = _END.search(self._buffer, max(self._line_end - 1, self._scanned - 3))
        self._scanned = len(self._buffer)
        self._end = len(self._buffer) if found_end is None else found_end.end()
        if self._end > self._limit or (found_end is None and self._end == self._limit):
            return HeadStage.TOO_LONG
        return None if found_end is None else HeadStage.WHOLE

    def _examine_line(self) -> HeadStage | None:
        """Check the request line, and set where it ends."""
        self._drop_empty_lines()
        if not self._buffer or self._buffer == b"\r":
            return HeadStage.GARBAGE if self._empty_lines > EMPTY_LINES else None
        if self._empty_lines > EMPTY_LINES or not _TOKEN_START.match(self._buffer):
            return HeadStage.GARBAGE
        line_end = self._buffer.find(b"\n", self._scanned) + 1
        self._scanned = len(self._buffer)
        if line_end == 0 or line_end > self._limit:
            return HeadStage.TOO_LONG if len(self._buffer) >= self._limit else None
        if not REQUEST_LINE.fullmatch(self._buffer, 0, line_end):
            return HeadStage.GARBAGE
        self._line_end = self._scanned = line_end
        return None

    def _drop_empty_lines(self) -> None:
        while self._empty_lines <= EMPTY_LINES and (found := _EMPTY_LINE.match(self._buffer)):
            del self._buffer[: found.end()]
            self._empty_lines += 1
