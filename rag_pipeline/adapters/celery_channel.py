"""Messages from forked children to the process that made the channel: in order, each whole; the sender never waits."""

from __future__ import annotations

import logging
import posix
import socket
from collections import deque
from collections.abc import Callable

from rag_pipeline.common import native

logger = logging.getLogger("rag_pipeline.adapters")

MAX_MESSAGE_BYTES = 1 << 15
MAX_WAITING = 10_000
_END = b"\0"


class Channel:
    """A pair of connected sockets, whose kernel buffer keeps messages whole, whoever sends them.

    What that buffer does not take, since the reader stands still, waits in the child, bounded, for a thread that is
    started only then.
    """

    def __init__(self) -> None:
        self._reading, self._writing = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # Used by descriptor and natively: where the program is monkey-patched these objects are green.
        self._read_fd, self._write_fd = self._reading.fileno(), self._writing.fileno()
        for fd in (self._read_fd, self._write_fd):
            posix.set_blocking(fd, True)
        self.after_fork()

    def after_fork(self) -> None:
        """Start afresh in a child: a thread of its parent may have held the lock."""
        self._lock = native.RLock()
        self._waiting: deque[bytes] = deque()
        self._thread: native.NativeThread | None = None
        self._dropped = False

    def send(self, message: bytes) -> None:
        """Send a message of up to 32 KiB; with 10,000 waiting it is dropped, which is logged once."""
        if len(message) > MAX_MESSAGE_BYTES:
            raise ValueError(f"a message has at most {MAX_MESSAGE_BYTES} bytes, not {len(message)}")
        with self._lock:
            if not self._waiting and self._sent(message):
                return
            if len(self._waiting) < MAX_WAITING:
                self._waiting.append(message)
                if len(self._waiting) == 1:
                    self._thread = native.start_thread(self._drain, "rag-pipeline-channel")
            elif not self._dropped:
                self._dropped = True
                logger.warning("reports of files are dropped: the worker's main process does not take them")

    def flush(self, timeout_seconds: float) -> bool:
        """Wait until what waits is sent, but no longer than that; return whether it is."""
        thread = self._thread
        return thread is None or thread.join(timeout_seconds)

    def receive(self, take: Callable[[bytes], None]) -> None:
        """Hand each message over until :meth:`end` is called; for a thread of its own."""
        while True:
            message = posix.read(self._read_fd, MAX_MESSAGE_BYTES)
            if message in (_END, b""):
                return
            take(message)

    def end(self) -> None:
        """End the receiving, once it has had everything that was sent before."""
        self.send(_END)

    def close(self) -> None:
        """Release the sockets; idempotent."""
        self._reading.close()
        self._writing.close()

    def _sent(self, message: bytes) -> bool:
        """Return whether that is done with: the buffer took it, or there is no one to read it any more."""
        return native.send(self._write_fd, message, len(message), native.SEND_FLAGS) >= 0 or native.send_failed()

    def _drain(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    return
                message = self._waiting[0]
            try:
                posix.write(self._write_fd, message)  # waits, without the GIL
            except OSError:  # no one reads it any more
                with self._lock:
                    self._waiting.clear()
                return
            with self._lock:
                self._waiting.popleft()
