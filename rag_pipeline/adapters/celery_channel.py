"""Messages from forked children to their parent: in order, never split, and without blocking the sender."""

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


class ReportChannel:
    """A socket pair whose kernel buffer keeps message boundaries, for any number of senders.

    If the buffer is full because the reader is slow, messages wait in the child, bounded, and a thread sends them.
    """

    def __init__(self) -> None:
        self._reading, self._writing = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # Used by descriptor, with native calls: in a monkey-patched program the socket objects are green.
        self._read_fd, self._write_fd = self._reading.fileno(), self._writing.fileno()
        for fd in (self._read_fd, self._write_fd):
            posix.set_blocking(fd, True)
        self.after_fork()

    def after_fork(self) -> None:
        """Reset the state in a child: a thread of the parent may have held the lock."""
        self._lock = native.RLock()
        self._waiting: deque[bytes] = deque()
        self._thread: native.NativeThread | None = None
        self._dropped = False

    def send(self, message: bytes) -> None:
        """Send a message of up to 32 KiB. If 10,000 wait already it is dropped, which is logged once."""
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
                logger.warning("reports of files are dropped: the worker's main process does not read them in time")

    def flush(self, timeout_seconds: float) -> bool:
        """Wait until all messages are sent, at most ``timeout_seconds``; return whether they are."""
        thread = self._thread
        return thread is None or thread.join(timeout_seconds)

    def receive(self, handle: Callable[[bytes], None]) -> None:
        """Pass each message to ``handle`` until :meth:`end` is called; blocks its thread."""
        while True:
            message = posix.read(self._read_fd, MAX_MESSAGE_BYTES)
            if message in (_END, b""):
                return
            handle(message)

    def end(self) -> None:
        """End :meth:`receive` after the messages that were sent before."""
        self.send(_END)

    def close(self) -> None:
        """Release the sockets; idempotent."""
        self._reading.close()
        self._writing.close()

    def _sent(self, message: bytes) -> bool:
        """Try to send without blocking; return False if the message must wait, True also if the reader is gone."""
        return native.send(self._write_fd, message, len(message), native.SEND_FLAGS) >= 0 or native.send_failed()

    def _drain(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    return
                message = self._waiting[0]
            try:
                posix.write(self._write_fd, message)  # blocks, without the GIL
            except OSError:  # the reader is gone
                with self._lock:
                    self._waiting.clear()
                return
            with self._lock:
                self._waiting.popleft()
