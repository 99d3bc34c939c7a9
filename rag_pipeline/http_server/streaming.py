"""Open streams, and sending one over a connection piece by piece."""

from __future__ import annotations

import logging

# The C class behind queue.SimpleQueue: it stays native when the host program is monkey-patched.
from _queue import Empty, SimpleQueue
from time import monotonic

from rag_pipeline.broadcast.follower import FollowerClosedError
from rag_pipeline.common import native
from rag_pipeline.http_server.connection import ClientConnection
from rag_pipeline.http_server.content import Opener, Stream

# How long it takes to notice that the client of a quiet stream is gone; with hundreds of streams each check costs.
POLL_SECONDS = 2.0
MIN_OPEN_SECONDS = 60.0
SLOT_SECONDS = 1.0
PIECE_BYTES = 64 * 1024
LAST_CHUNK = b"0\r\n\r\n"

logger = logging.getLogger("rag_pipeline.http")


class OpenStreams:
    """The open streams of all connections. Their number is limited, because each keeps a thread; any thread may call.

    When the limit is reached, the oldest stream is ended if it is at least ``min_open_seconds`` old, so idle clients
    can't lock others out. Its client reconnects with the offset of its last event, and misses nothing.
    """

    def __init__(self, limit: int, min_open_seconds: float = MIN_OPEN_SECONDS) -> None:
        self._min_open_seconds = min_open_seconds
        self._free: SimpleQueue[None] = SimpleQueue()
        for _ in range(limit):
            self._free.put(None)
        self._lock = native.allocate_lock()  # protects _since
        self._since: dict[Stream, float] = {}  # when each was opened, oldest first

    def open(self, opener: Opener) -> Stream | None:
        """Return an open stream, to be closed by :meth:`close`; None if no slot is free within a second."""
        if not self._take_slot():
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
        """Close the stream and free its slot."""
        with self._lock:
            self._since.pop(stream, None)
        try:
            stream.close()
        finally:
            self._free.put(None)

    def _take_slot(self) -> bool:
        try:
            self._free.get_nowait()
        except Empty:
            oldest = self._pop_oldest()
            if oldest is None:
                return False
            oldest.close()  # its own thread notices, and frees the slot
            try:
                self._free.get(timeout=SLOT_SECONDS)
            except Empty:  # its client does not read: the slot becomes free for a later stream
                return False
        return True

    def _pop_oldest(self) -> Stream | None:
        with self._lock:
            for stream, since in self._since.items():
                if monotonic() - since < self._min_open_seconds:
                    return None
                del self._since[stream]
                return stream
        return None


def send_stream(
    stream: Stream,
    connection: ClientConnection,
    *,
    chunked: bool,
    write_seconds: float,
    keep_alive_seconds: float,
) -> None:
    """Send the stream until it ends or the connection does.

    ``write_seconds`` is how long a client may take to read 64 KiB. Raises ``OSError`` if the client is gone.
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
