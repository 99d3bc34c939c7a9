"""Collects the head of a request from what arrives, and finds its end; no socket in sight."""

from __future__ import annotations

import re
from enum import StrEnum

REQUEST_LINE = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64} [\x21-\x7e\x80-\xff]+ HTTP/[0-9]{1,3}\.[0-9]{1,3}\r?\n")
EMPTY_LINES = 3
"""Some clients send one after a body."""

_TOKEN_START = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]")
_END = re.compile(rb"\n\r?\n")
_EMPTY_LINE = re.compile(rb"\r?\n")


class Stage(StrEnum):
    """Why a head is handed on; all but ``WHOLE`` are answered with an error."""

    WHOLE = "whole"
    GARBAGE = "garbage"
    TOO_LONG = "too long"
    TOO_SLOW = "too slow"
    CUT = "cut"


class RequestHead:
    """The bytes of the next request up to the end of its headers, ``limit_bytes`` at most.

    ``stage`` is None while more is needed. What arrived behind the head is kept for the request after it.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.stage: Stage | None = None
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
        """Whether something of the request has arrived."""
        return bool(self._buffer) or self._empty_lines > 0

    def feed(self, data: bytes) -> None:
        """Add what arrived."""
        self._buffer += data
        if self.stage is None:
            self.stage = self._examine()

    def take(self) -> bytes:
        """Return the head, and begin with the next one."""
        head = bytes(self._buffer[: self._end]) if self.stage is Stage.WHOLE else bytes(self._buffer)
        del self._buffer[: len(head)]
        self._begin()
        self.stage = self._examine()
        return head

    def _examine(self) -> Stage | None:
        if self._line_end == 0 and (found := self._examine_line()) is not None:
            return found
        if self._line_end == 0:
            return None
        # Scanned once: a client that sends byte by byte costs no more than one that does not.
        found_end = _END.search(self._buffer, max(self._line_end - 1, self._scanned - 3))
        self._scanned = len(self._buffer)
        self._end = len(self._buffer) if found_end is None else found_end.end()
        if self._end > self._limit or (found_end is None and self._end == self._limit):
            return Stage.TOO_LONG
        return None if found_end is None else Stage.WHOLE

    def _examine_line(self) -> Stage | None:
        """Look at the request line; set where it ends."""
        self._drop_empty_lines()
        if not self._buffer or self._buffer == b"\r":
            return Stage.GARBAGE if self._empty_lines > EMPTY_LINES else None
        if self._empty_lines > EMPTY_LINES or not _TOKEN_START.match(self._buffer):
            return Stage.GARBAGE
        line_end = self._buffer.find(b"\n", self._scanned) + 1
        self._scanned = len(self._buffer)
        if line_end == 0 or line_end > self._limit:
            return Stage.TOO_LONG if len(self._buffer) >= self._limit else None
        if not REQUEST_LINE.fullmatch(self._buffer, 0, line_end):
            return Stage.GARBAGE
        self._line_end = self._scanned = line_end
        return None

    def _drop_empty_lines(self) -> None:
        while self._empty_lines <= EMPTY_LINES and (found := _EMPTY_LINE.match(self._buffer)):
            del self._buffer[: found.end()]
            self._empty_lines += 1
