"""The library's WebSocket, reading ahead.

By itself it asks the system three times for each frame, and checks the UTF-8 of texts byte by byte in Python before it
decodes them, which checks them too. At thousands of events a second that is most of what a client does.
"""

from __future__ import annotations

from typing import Any

import websocket

READ_BYTES = 1 << 16


class BufferedWebSocket(websocket.WebSocket):
    """Takes from the system what has come, and gives it out in the pieces that are asked for."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._ahead = b""
        self._given = 0

    def _recv(self, bufsize: int) -> bytes:
        if self._given == len(self._ahead):
            self._ahead, self._given = super()._recv(READ_BYTES), 0  # type: ignore[no-untyped-call]
        piece: bytes = self._ahead[self._given : self._given + bufsize]
        self._given += len(piece)
        return piece


OPTIONS: dict[str, Any] = {"class_": BufferedWebSocket, "skip_utf8_validation": True}
"""What ``websocket.create_connection`` is to be given."""
