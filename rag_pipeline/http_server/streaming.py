"""Carrying a stream over a connection: piece by piece, until one of both sides ends."""

from __future__ import annotations

import logging

# The C class behind queue.SimpleQueue: it is native in a patched host program too.
from _queue import Empty, SimpleQueue
from time import monotonic

from rag_pipeline.http_server.connection import Connection
from rag_pipeline.http_server.content import Opener, Stream
from rag_pipeline.http_server.source import FollowerClosedError

# How late it is noticed that the client of a quiet stream has gone: with hundreds of streams each look costs.
POLL_SECONDS = 2.0
PIECE_BYTES = 64 * 1024
LAST_CHUNK = b"0\r\n\r\n"

logger = logging.getLogger("rag_pipeline.http")


class OpenStreams:
    """The streams of all connections: as each holds a handler thread, there is a bound; any thread may call."""

    def __init__(self, limit: int) -> None:
        self._free: SimpleQueue[None] = SimpleQueue()
        for _ in range(limit):
            self._free.put(None)

    def open(self, opener: Opener) -> Stream | None:
        """Return a stream, to be closed by :meth:`close`; None when none can be had now."""
        try:
            self._free.get_nowait()
        except Empty:
            return None
        try:
            return opener()
        except FollowerClosedError:
            pass
        except Exception:
            logger.exception("a stream could not be opened")
        self._free.put(None)
        return None

    def close(self, stream: Stream) -> None:
        """Close the stream; another one may take its place."""
        try:
            stream.close()
        finally:
            self._free.put(None)


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
