"""A WebSocket of websocket-client that reads ahead.

The library's own makes three system calls for each frame, and checks UTF-8 byte by byte in Python before it decodes
the text, which checks it again. At thousands of events a second that is most of the client's CPU time.
"""

from __future__ import annotations

from typing import Any

import websocket

READ_BYTES = 1 << 16


class BufferedWebSocket(websocket.WebSocket):
    """Receives up to 64 KiB at once and serves the library's small reads from that."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._buffer = b""
        self._position = 0

    def _recv(self, bufsize: int) -> bytes:
        if self._position == len(self._buffer):
            self._buffer, self._position = super()._recv(READ_BYTES), 0  # type: ignore[no-untyped-call]
        piece: bytes = self._buffer[self._position : self._position + bufsize]
        self._position += len(piece)
        return piece


OPTIONS: dict[str, Any] = {"class_": BufferedWebSocket, "skip_utf8_validation": True}
"""Options for ``websocket.create_connection``."""
