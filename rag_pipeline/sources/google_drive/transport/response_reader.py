"""An answer on its way in: read by a thread of its own, so that whoever waits for it can leave at any moment.

Nothing ends a read of a socket from outside, and its timeout has to be long, since Drive may take half a minute to
begin an answer. So the one who waits never reads: it takes what has come, and looks up several times a second.
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

PIECE_BYTES = 1 << 17
_PIECES_AHEAD = 4


class Deadline:
    """How long an answer is waited for: until ``stop``, until ``check`` raises, and for so many seconds."""

    def __init__(self, stop: threading.Event, check: Callable[[], None], seconds: float) -> None:
        self._stop = stop
        self._check = check
        self._seconds = seconds
        self._ends: float | None = time.monotonic() + seconds

    def without_end(self) -> None:
        """Wait for what is left as long as there is more of it each time: a content may be of any size."""
        self._ends = None

    def look_up(self) -> None:
        """Return if it is worth waiting on; raises Stopped, what ``check`` does, and TryAgain once it is too long."""
        if self._stop.is_set():
            raise Stopped
        self._check()
        if self._ends is not None and time.monotonic() > self._ends:
            raise TryAgain(f"no whole answer within {self._seconds:g} s", server_failed=True)


class ResponseReader:
    """An answer whose status and headers are there (``response``) and whose body comes; used by one thread.

    ``ask`` sends the request; whatever it raises, the constructor does. Leaving the block, or :meth:`close`, returns
    at once: what is still being read ends by itself, at the latest with the timeout of the socket.
    """

    def __init__(self, ask: Callable[[], requests.Response], patience: Deadline) -> None:
        self._patience = patience
        self._looked_up = time.monotonic()
        self._come: SimpleQueue[requests.Response | bytes | BaseException] = SimpleQueue()
        self._room = threading.Semaphore(_PIECES_AHEAD)
        self._left = False
        threading.Thread(target=self._receive, args=(ask,), name="answer of Drive", daemon=True).start()
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
        """Want no more of it; idempotent."""
        self._left = True
        self._room.release()

    def pieces(self) -> Iterator[bytes]:
        """Yield the body as it comes, to be gone through once.

        These are what is there, not whole pieces: a break then costs nothing of what had come. Raises
        ``urllib3.exceptions.HTTPError`` for that.
        """
        while piece := self._next():
            assert isinstance(piece, bytes)
            yield piece

    def whole(self, limit_bytes: int) -> bytes | None:
        """Return the body; None for a longer one."""
        body = bytearray()
        for piece in self.pieces():
            body += piece
            if len(body) > limit_bytes:
                return None
        return bytes(body)

    def _next(self) -> requests.Response | bytes:
        while True:
            try:
                item = self._come.get(timeout=CHECK_SECONDS)
            except Empty:
                self._patience.look_up()
                continue
            # What trickles in comes often, too.
            now = time.monotonic()
            if now - self._looked_up >= CHECK_SECONDS:
                self._looked_up = now
                self._patience.look_up()
            if isinstance(item, BaseException):
                raise item
            self._room.release()
            return item

    # -- the thread that reads ---------------------------------------------------------------------------------------

    def _receive(self, ask: Callable[[], requests.Response]) -> None:
        try:
            answer = ask()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is for the one who asked
            self._come.put(error)
            return
        with answer:
            try:
                self._hand_over(answer)
                while not self._left:
                    piece = answer.raw.read1(PIECE_BYTES, decode_content=True)
                    self._hand_over(piece)
                    if not piece:
                        return
            except Exception as error:  # noqa: BLE001 - as above
                self._come.put(error)

    def _hand_over(self, item: requests.Response | bytes) -> None:
        # No more than a few pieces ahead of the one who takes them: memory is bounded.
        self._room.acquire()
        self._come.put(item)
