"""Reads an HTTP answer on its own thread, so that the caller can stop waiting at any moment.

Nothing ends a socket read from outside, and its timeout has to be long: Drive may take half a minute to begin an
answer. So the caller never reads from the socket. It takes pieces from a queue, and checks several times a second
whether to go on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import Self

import requests

from rag_pipeline.ingest.types import Stopped
from rag_pipeline.sources.google_drive.transport.retry import CHECK_SECONDS, TryAgain
from rag_pipeline.sources.source import Check

PIECE_BYTES = 1 << 17
_PIECES_AHEAD = 4


class Deadline:
    """Ends the wait for an answer: when ``stop`` is set, when ``check`` raises, or after so many seconds."""

    def __init__(self, stop: threading.Event, check: Check, seconds: float) -> None:
        self._stop = stop
        self._check = check
        self._seconds = seconds
        self._ends: float | None = time.monotonic() + seconds

    def remove_limit(self) -> None:
        """Drop the time limit: a file's content may be of any size."""
        self._ends = None

    def check(self) -> None:
        """Raise Stopped, what the caller's check raises, or TryAgain once the time is over."""
        if self._stop.is_set():
            raise Stopped
        self._check()
        if self._ends is not None and time.monotonic() > self._ends:
            raise TryAgain(f"no whole answer within {self._seconds:g} s", server_failed=True)


class ResponseReader:
    """An answer with its status and headers (``response``) whose body is still arriving; used by one thread.

    ``send`` sends the request; the constructor raises what it raises. :meth:`close` and the end of a ``with`` block
    return at once: the reading thread ends by itself, at the latest with the socket's timeout.
    """

    def __init__(self, send: Callable[[], requests.Response], deadline: Deadline) -> None:
        self._deadline = deadline
        self._checked_at = time.monotonic()
        self._queue: SimpleQueue[requests.Response | bytes | BaseException] = SimpleQueue()
        self._free_slots = threading.Semaphore(_PIECES_AHEAD)
        self._closed = False
        threading.Thread(target=self._receive, args=(send,), name="answer of Drive", daemon=True).start()
        try:
            first = self._next()
        except BaseException:
            self.close()
            raise
        assert isinstance(first, requests.Response)
        self.response = first

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop reading; idempotent."""
        self._closed = True
        self._free_slots.release()

    def pieces(self) -> Iterator[bytes]:
        """Yield the body as it arrives; can be iterated once.

        A piece is what has arrived, however short, so a broken connection loses nothing that had arrived. Raises
        ``urllib3.exceptions.HTTPError`` if the connection breaks.
        """
        while piece := self._next():
            assert isinstance(piece, bytes)
            yield piece

    def read(self, limit_bytes: int) -> bytes | None:
        """Return the whole body, or None if it is longer than the limit."""
        body = bytearray()
        for piece in self.pieces():
            body += piece
            if len(body) > limit_bytes:
                return None
        return bytes(body)

    def _next(self) -> requests.Response | bytes:
        while True:
            try:
                item = self._queue.get(timeout=CHECK_SECONDS)
            except Empty:
                self._deadline.check()
                continue
            # A slow body that arrives byte by byte never leaves the queue empty for long.
            now = time.monotonic()
            if now - self._checked_at >= CHECK_SECONDS:
                self._checked_at = now
                self._deadline.check()
            if isinstance(item, BaseException):
                raise item
            self._free_slots.release()
            return item

    # -- the reading thread ------------------------------------------------------------------------------------------

    def _receive(self, send: Callable[[], requests.Response]) -> None:
        try:
            answer = send()
        except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
            self._queue.put(error)
            return
        with answer:
            try:
                self._put(answer)
                while not self._closed:
                    piece = answer.raw.read1(PIECE_BYTES, decode_content=True)
                    self._put(piece)
                    if not piece:
                        return
            except Exception as error:  # noqa: BLE001 - raised in the caller's thread
                self._queue.put(error)

    def _put(self, item: requests.Response | bytes) -> None:
        # Memory is bounded: the reader is at most a few pieces ahead of the caller.
        self._free_slots.acquire()
        self._queue.put(item)
