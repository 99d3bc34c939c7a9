"""Carrying a stream over a connection: piece by piece, until one of both sides ends."""

from __future__ import annotations

import logging

# The C class behind queue.SimpleQueue: it is native in a patched host program too.
from _queue import Empty, SimpleQueue
from time import monotonic

from rag_pipeline.common import native
from rag_pipeline.http_server.connection import Connection
from rag_pipeline.http_server.content import Opener, Stream
from rag_pipeline.http_server.service_view import FollowerClosedError

# How late it is noticed that the client of a quiet stream has gone: with hundreds of streams each look costs.
POLL_SECONDS = 2.0
TURN_SECONDS = 60.0
PLACE_SECONDS = 1.0
PIECE_BYTES = 64 * 1024
LAST_CHUNK = b"0\r\n\r\n"

logger = logging.getLogger("rag_pipeline.http")


class OpenStreams:
    """The streams of all connections: as each holds a handler thread, there is a bound; any thread may call.

    Over the bound the oldest is ended, once it is ``turn_seconds`` old: clients that hold all there are, and only
    wait, lock nobody out. Whoever was ended comes back with the offset of its last event, and misses nothing.
    """

    def __init__(self, limit: int, turn_seconds: float = TURN_SECONDS) -> None:
        self._turn_seconds = turn_seconds
        self._free: SimpleQueue[None] = SimpleQueue()
        for _ in range(limit):
            self._free.put(None)
        self._lock = native.allocate_lock()  # protects what follows
        self._since: dict[Stream, float] = {}  # those that can be ended, in the order of their times

    def open(self, opener: Opener) -> Stream | None:
        """Return a stream, to be closed by :meth:`close`; None when none can be had within a second."""
        if not self._take_place():
            return None
        try:
            stream = opener()
        except FollowerClosedError:
            pass
        except Exception:
            logger.exception("a stream could not be opened")
        else:
            with self._lock:
                self._since[stream] = monotonic()
            return stream
        self._free.put(None)
        return None

    def close(self, stream: Stream) -> None:
        """Close the stream; another one may take its place."""
        with self._lock:
            self._since.pop(stream, None)
        try:
            stream.close()
        finally:
            self._free.put(None)

    def _take_place(self) -> bool:
        try:
            self._free.get_nowait()
        except Empty:
            oldest = self._pop_oldest()
            if oldest is None:
                return False
            oldest.close()  # its thread sees that, and gives the place back
            try:
                self._free.get(timeout=PLACE_SECONDS)
            except Empty:  # its client does not read: the place is for the next one
                return False
        return True

    def _pop_oldest(self) -> Stream | None:
        with self._lock:
            for stream, since in self._since.items():
                if monotonic() - since < self._turn_seconds:
                    return None
                del self._since[stream]
                return stream
        return None


def carry(
    stream: Stream,
    connection: Connection,
    *,
    chunked: bool,
    write_seconds: float,
    keep_alive_seconds: float,
) -> None:
    """Send what the stream gives until it ends, or the client does, or someone ends the connection from outside.

    ``write_seconds`` is how long a client may take for a piece of 64 KiB. Raises ``OSError`` if the client is gone.
    """
    connection.expect_reading(write_seconds)
    sent_at = monotonic()
    while (data := stream.read(min(POLL_SECONDS, keep_alive_seconds))) is not None:
        if not data and monotonic() - sent_at >= keep_alive_seconds:
            data = stream.keep_alive
        for start in range(0, len(data), PIECE_BYTES):
            piece = data[start : start + PIECE_BYTES]
            connection.send(_chunk(piece) if chunked else piece, write_seconds)
            sent_at = monotonic()
        if connection.is_ended():
            break
    if chunked:
        connection.send(LAST_CHUNK, write_seconds)


def _chunk(piece: bytes) -> bytes:
    """Return the piece as one chunk of the chunked transfer coding (RFC 9112, section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)
