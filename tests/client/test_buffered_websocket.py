from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
import websocket
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.client.buffered_websocket import READ_BYTES, BufferedWebSocket
from tests.socket_server.support import TEXT, masked_frame


def frame(text: str) -> bytes:
    return masked_frame(TEXT, text.encode(), masked=False)


@pytest.fixture
def ends() -> Iterator[tuple[BufferedWebSocket, socket.socket]]:
    near, far = socket.socketpair()
    made = BufferedWebSocket(skip_utf8_validation=True)
    made.sock, made.connected = near, True
    with near, far:
        yield made, far


def test_messages_of_any_size_arrive_whole_for_any_segmentation(ends: tuple[BufferedWebSocket, socket.socket]) -> None:
    made, far = ends
    texts = ["", "Grüße ✓", "x" * 125, "y" * 126, "z" * READ_BYTES, "ü" * (3 * READ_BYTES)]
    data = b"".join(map(frame, texts))

    def send() -> None:
        for start in range(0, len(data), 1000):
            far.sendall(data[start : start + 1000])

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    assert [made.recv() for _ in texts] == texts
    sender.join(60)


@given(texts=st.lists(st.text(max_size=300), max_size=20))
def test_frames_that_arrive_together_are_returned_one_by_one(texts: list[str]) -> None:
    near, far = socket.socketpair()
    with near, far:
        made = BufferedWebSocket(skip_utf8_validation=True)
        made.sock, made.connected = near, True
        far.sendall(b"".join(map(frame, texts)))
        assert [made.recv() for _ in texts] == texts


def test_invalid_utf_8_is_still_refused(ends: tuple[BufferedWebSocket, socket.socket]) -> None:
    made, far = ends
    far.sendall(masked_frame(TEXT, b"\xff\xfe", masked=False))
    with pytest.raises(UnicodeDecodeError):
        made.recv()


def test_buffered_messages_come_before_the_end_of_the_connection(ends: tuple[BufferedWebSocket, socket.socket]) -> None:
    made, far = ends
    far.sendall(frame("last"))
    far.close()
    assert made.recv() == "last"
    with pytest.raises(websocket.WebSocketConnectionClosedException):
        made.recv()
