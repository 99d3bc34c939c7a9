"""The server's side of a WebSocket, on a socket pair and on a socket with partial writes."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wsproto.frame_protocol import FrameProtocol, Opcode

from rag_pipeline.broadcast.encoding import frame, text_frame
from rag_pipeline.common import native
from rag_pipeline.socket_server import websocket
from rag_pipeline.socket_server.loop import DetachedConnection
from rag_pipeline.socket_server.websocket import WebSocketConnection, handshake
from tests.socket_server.support import BINARY, CLOSE, PING, PONG, TEXT, masked_frame

LIMIT = 1 << 20
MAX_MESSAGE = 1 << 14


@dataclass
class Handle:
    """A watch or a timer that the test fires."""

    callback: Callable[[], None]
    active: bool = True

    def cancel(self) -> None:
        self.active = False

    def fire(self) -> None:
        if self.active:
            self.callback()


@dataclass
class HandLoop:
    """A loop that the test turns."""

    reader: Handle | None = None
    writer: Handle | None = None
    timers: list[Handle] = field(default_factory=list)

    def watch_read(self, _fd: int, callback: Callable[[], None]) -> Handle:
        self.reader = Handle(callback)
        return self.reader

    def watch_write(self, _fd: int, callback: Callable[[], None]) -> Handle:
        assert self.writer is None or not self.writer.active, "one watch at a time"
        self.writer = Handle(callback)
        return self.writer

    def call_later(self, _seconds: float, callback: Callable[[], None]) -> Handle:
        self.timers.append(Handle(callback))
        return self.timers[-1]

    def serve(self, *_: object) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        raise NotImplementedError

    def writing(self) -> bool:
        return self.writer is not None and self.writer.active

    def writable(self) -> None:
        if self.writer is not None:
            self.writer.fire()

    def readable(self) -> None:
        if self.reader is not None:
            self.reader.fire()


class Log:
    def __init__(self) -> None:
        self.messages: list[str | bytes] = []
        self.lost = 0
        self.overflows: list[int] = []

    def on_message(self, message: str | bytes) -> None:
        self.messages.append(message)

    def on_lost(self) -> None:
        self.lost += 1

    def on_overflow(self, backlog_bytes: int) -> None:
        self.overflows.append(backlog_bytes)


class Bench:
    """A socket pair with a connection on one end and the test on the other."""

    def __init__(self, limit: int = LIMIT) -> None:
        ours, self.peer = socket.socketpair()
        self.peer.settimeout(5)
        ours.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.loop = HandLoop()
        self.log = Log()
        self.fd = ours.detach()
        self.closed = 0
        self.connection: Any = WebSocketConnection(
            self.loop, DetachedConnection(self.fd, self.on_closed), self.log, limit=limit, max_message=MAX_MESSAGE
        )

    def on_closed(self) -> None:
        self.closed += 1

    def send(self, *frames: bytes) -> None:
        for data in frames:
            for start in range(0, len(data), 4096):
                self.peer.sendall(data[start : start + 4096])
                self.loop.readable()

    def received(self) -> bytes:
        """Return the bytes that have arrived so far."""
        data = b""
        self.peer.setblocking(False)
        try:
            while part := self.peer.recv(1 << 16):
                data += part
        except (BlockingIOError, ConnectionError):
            pass
        self.peer.setblocking(True)
        return data

    def close(self) -> None:
        self.peer.close()
        self.connection.abort()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def frames_of(data: bytes) -> list[tuple[Opcode, object]]:
    """Parse the frames with wsproto's client."""
    protocol = FrameProtocol(client=True, extensions=[])
    protocol.receive_bytes(data)
    found: list[tuple[Opcode, object]] = []
    for part in protocol.received_frames():
        payload = bytes(part.payload) if isinstance(part.payload, bytearray) else part.payload
        assert part.frame_finished, "a frame was cut"
        found.append((part.opcode, payload))
    return found


# -- the handshake -----------------------------------------------------------------------------------------------------

ASKED = {
    "HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSBub25jZQ==",
    "HTTP_UPGRADE": "WebSocket",
    "HTTP_CONNECTION": "keep-alive, Upgrade",
    "HTTP_SEC_WEBSOCKET_VERSION": "13",
}


def test_the_handshake_answers_as_in_the_example_of_rfc_6455() -> None:
    answer = handshake(ASKED)
    assert answer is not None
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


def test_the_handshake_accepts_no_compression() -> None:
    answer = handshake({**ASKED, "HTTP_SEC_WEBSOCKET_EXTENSIONS": "permessage-deflate"})
    assert answer is not None
    assert b"extensions" not in answer.lower()


@pytest.mark.parametrize(
    "wrong",
    [
        {"HTTP_SEC_WEBSOCKET_KEY": ""},
        {"HTTP_SEC_WEBSOCKET_KEY": "c2hvcnQ="},
        {"HTTP_SEC_WEBSOCKET_KEY": "not base64, not at all!!"},
        {"HTTP_SEC_WEBSOCKET_KEY": "ä" * 24},
        {"HTTP_UPGRADE": "h2c"},
        {"HTTP_CONNECTION": "keep-alive"},
        {"HTTP_SEC_WEBSOCKET_VERSION": "8"},
    ],
)
def test_an_invalid_handshake_is_refused(wrong: dict[str, str]) -> None:
    assert handshake({**ASKED, **wrong}) is None
    assert handshake({k: v for k, v in ASKED.items() if k not in wrong}) is None


# -- writing -----------------------------------------------------------------------------------------------------------


def test_a_write_goes_out_at_once(bench: Bench) -> None:
    bench.connection.write(text_frame(b"hello"))
    assert frames_of(bench.received()) == [(Opcode.TEXT, "hello")]
    assert not bench.loop.writing()
    assert bench.connection.backlog_bytes == 0


def test_unsent_bytes_go_out_before_later_writes(bench: Bench) -> None:
    sent = [text_frame(bytes([65 + n]) * 3000) for n in range(20)]
    for data in sent:
        bench.connection.write(data)
    assert bench.loop.writing()
    assert bench.connection.backlog_bytes > 0
    received = b""
    while bench.loop.writing():
        received += bench.received()
        bench.loop.writable()
    received += bench.received()
    assert received == b"".join(sent)
    assert bench.connection.backlog_bytes == 0


def test_over_the_bound_the_connection_is_aborted_and_the_owner_called_once() -> None:
    bench = Bench(limit=10_000)
    for _ in range(100):
        bench.connection.write(text_frame(b"x" * 1000))
    assert len(bench.log.overflows) == 1
    assert bench.log.overflows[0] > 10_000
    assert bench.log.lost == 0
    assert bench.connection.closed
    assert bench.connection.backlog_bytes == 0
    assert not bench.loop.writing()
    bench.close()


def test_a_write_notices_that_the_peer_has_left(bench: Bench) -> None:
    bench.peer.close()
    bench.connection.write(text_frame(b"x"))
    bench.connection.write(text_frame(b"y"))
    assert bench.log.lost == 1
    assert bench.connection.closed


def test_a_peer_that_leaves_while_bytes_wait_is_noticed(bench: Bench) -> None:
    while not bench.loop.writing():
        bench.connection.write(text_frame(b"x" * 1000))
    bench.peer.close()
    bench.loop.writable()
    assert bench.log.lost == 1
    assert not bench.loop.writing()


def test_close_sends_the_backlog_then_a_close_frame(bench: Bench) -> None:
    while not bench.loop.writing():
        bench.connection.write(text_frame(b"x" * 1000))
    bench.connection.close()
    bench.connection.write(text_frame(b"too late"))
    received = b""
    while bench.loop.writing():
        received += bench.received()
        bench.loop.writable()
    received += bench.received()
    frames = frames_of(received)
    assert {f[0] for f in frames[:-1]} == {Opcode.TEXT}
    assert frames[-1][0] is Opcode.CLOSE
    assert bench.peer.recv(1) == b"", "and the connection is closed"
    assert bench.log.lost == 0


def test_a_close_waits_for_a_bounded_time(bench: Bench) -> None:
    while not bench.loop.writing():
        bench.connection.write(text_frame(b"x" * 1000))
    bench.connection.close()
    assert len(bench.loop.timers) == 1
    bench.loop.timers[0].fire()
    assert not bench.loop.writing()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(bench.fd)


def test_close_and_abort_are_idempotent(bench: Bench) -> None:
    bench.connection.close()
    bench.connection.close()
    bench.connection.abort()
    bench.connection.abort()
    assert bench.log.lost == 0


class FaultySocket:
    """Takes the given numbers of bytes, which may be 0, then as many as the real socket takes."""

    def __init__(self, takes: list[int]) -> None:
        self._takes = takes
        self._full = False

    def send(self, fd: int, data: bytes, size: int, flags: int) -> int:
        allowed = self._takes.pop(0) if self._takes else size
        self._full = not allowed
        return int(native.send(fd, data, min(size, allowed), flags)) if allowed else -1

    def send_failed(self) -> bool:
        return not self._full and native.send_failed()

    SEND_FLAGS = native.SEND_FLAGS
    recv_nowait = staticmethod(native.recv_nowait)
    hang_up = staticmethod(native.hang_up)


@settings(max_examples=200, deadline=None)
@given(
    steps=st.lists(
        st.one_of(
            st.binary(max_size=600).map(lambda data: ("write", data)),
            st.lists(st.binary(max_size=80), min_size=2, max_size=5).map(lambda parts: ("batch", parts)),
            st.just(("writable", None)),
            st.just(("read", None)),
        ),
        max_size=40,
    ),
    takes=st.lists(st.integers(0, 700), max_size=80),
    end=st.sampled_from(["close", "none"]),
)
def test_property_bytes_arrive_once_in_order_with_any_partial_writes(
    steps: list[tuple[str, object]], takes: list[int], end: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(websocket, "native", FaultySocket(takes))
        bench = Bench()
        meant: list[tuple[Opcode, object]] = []
        written, received = [], b""
        for kind, value in steps:
            if kind == "write":
                assert isinstance(value, bytes)
                meant.append((Opcode.BINARY, value))
                written.append(frame(BINARY, value))
                bench.connection.write(written[-1])
            elif kind == "batch":
                assert isinstance(value, list)
                meant += [(Opcode.BINARY, part) for part in value]
                written.append(b"".join(frame(BINARY, part) for part in value))
                bench.connection.write(written[-1])
            elif kind == "writable":
                bench.loop.writable()
            else:
                received += bench.received()
        if end == "close":
            bench.connection.close()
            meant.append((Opcode.CLOSE, (1000, "")))
            written.append(frame(CLOSE, (1000).to_bytes(2, "big")))
        while bench.loop.writing():
            received += bench.received()
            bench.loop.writable()
        received += bench.received()
        bench.close()
    assert received == b"".join(written)
    assert frames_of(received) == meant
    assert bench.connection.backlog_bytes == 0
    assert bench.log.lost == 0


# -- reading -----------------------------------------------------------------------------------------------------------


def test_fragmented_messages_are_joined(bench: Bench) -> None:
    data = (
        masked_frame(TEXT, "grüße".encode())
        + masked_frame(BINARY, b"\x00\xff")
        + masked_frame(TEXT, b"in ", fin=False)
        + masked_frame(PING, b"between")
        + masked_frame(0, b"three ", fin=False)
        + masked_frame(0, b"parts")
        + masked_frame(TEXT, b"")
    )
    for byte in data:
        bench.send(bytes([byte]))
    assert bench.log.messages == ["grüße", b"\x00\xff", "in three parts", ""]
    assert frames_of(bench.received()) == [(Opcode.PONG, b"between")]


def test_a_pong_keeps_its_place_among_the_writes(bench: Bench) -> None:
    bench.connection.write(text_frame(b"before"))
    bench.send(masked_frame(PING, b"now"))
    bench.connection.write(text_frame(b"after"))
    assert [opcode for opcode, _ in frames_of(bench.received())] == [Opcode.TEXT, Opcode.PONG, Opcode.TEXT]


def test_an_unsolicited_pong_is_ignored(bench: Bench) -> None:
    bench.send(masked_frame(PONG, b"hello"), masked_frame(TEXT, b"x"))
    assert bench.log.messages == ["x"]


def test_a_close_frame_is_answered_and_ends_the_connection(bench: Bench) -> None:
    bench.send(masked_frame(CLOSE, (1001).to_bytes(2, "big") + b"bye"))
    assert frames_of(bench.received())[0][0] is Opcode.CLOSE
    assert bench.peer.recv(1) == b""
    assert bench.log.lost == 1


def test_the_end_of_the_stream_is_reported_once(bench: Bench) -> None:
    bench.peer.shutdown(socket.SHUT_WR)
    bench.loop.readable()
    bench.loop.readable()
    assert bench.log.lost == 1


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ([masked_frame(TEXT, b"x" * (MAX_MESSAGE + 1))], 1009),
        ([masked_frame(TEXT, b"x" * MAX_MESSAGE, fin=False), masked_frame(0, b"x")], 1009),
        ([masked_frame(TEXT, b"x", masked=False)], 1002),
        ([masked_frame(TEXT, b"x", rsv=4)], 1002),
        ([masked_frame(TEXT, b"x", rsv=1)], 1002),
        ([masked_frame(0x3, b"x")], 1002),
        ([masked_frame(0xB, b"x")], 1002),
        ([masked_frame(0, b"a continuation of nothing")], 1002),
        ([masked_frame(TEXT, b"x", fin=False), masked_frame(TEXT, b"y")], 1002),
        ([masked_frame(PING, b"x" * 126)], 1002),
        ([masked_frame(PING, b"x", fin=False)], 1002),
        ([masked_frame(CLOSE, b"x")], 1002),
        ([masked_frame(CLOSE, (999).to_bytes(2, "big"))], 1002),
        ([masked_frame(TEXT, b"\xff\xfe")], 1007),
        ([b"\x81\xff" + b"\xff" * 8 + b"mask"], 1002),
    ],
)
def test_a_protocol_error_is_answered_with_its_code(bench: Bench, sent: list[bytes], code: int) -> None:
    bench.send(*sent)
    assert frames_of(bench.received()) == [(Opcode.CLOSE, (code, ""))]
    assert bench.log.lost == 1
    assert bench.log.messages == []


def test_a_message_of_exactly_the_bound_is_accepted(bench: Bench) -> None:
    bench.send(masked_frame(TEXT, b"x" * MAX_MESSAGE))
    assert bench.log.messages == ["x" * MAX_MESSAGE]


def test_a_huge_frame_is_refused_before_it_is_buffered(bench: Bench) -> None:
    head = b"\x82\xff" + (1 << 40).to_bytes(8, "big") + b"mask"
    bench.send(head, b"x" * (MAX_MESSAGE + 4096))
    assert frames_of(bench.received()) == [(Opcode.CLOSE, (1009, ""))]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=200), max_size=10))
def test_property_garbage_ends_in_a_close_or_in_messages_never_in_an_error(chunks: list[bytes]) -> None:
    bench = Bench()
    for chunk in chunks:
        bench.peer.sendall(chunk)
        bench.loop.readable()
        if bench.connection.closed:
            break
    assert bench.log.lost == (1 if bench.connection.closed else 0)
    bench.close()


def test_the_owner_is_not_called_after_its_close(bench: Bench) -> None:
    while not bench.loop.writing():
        bench.connection.write(text_frame(b"x" * 1000))
    bench.connection.close()
    bench.peer.sendall(masked_frame(TEXT, b"too late"))
    bench.loop.readable()
    bench.peer.close()
    bench.loop.writable()
    assert bench.log.messages == []
    assert bench.log.lost == 0


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (None, None),
        ("status.v1", b"status.v1"),
        ("status.v1, other", b"status.v1"),
        ("", None),
        ("no token", None),
        ("a\xe4", None),
        ("x" * 1000, None),
    ],
)
def test_the_first_subprotocol_that_is_offered_is_chosen(offered: str | None, chosen: bytes | None) -> None:
    """Browsers fail a connection if none of the offered ones was chosen."""
    environ = dict(ASKED)
    if offered is not None:
        environ["HTTP_SEC_WEBSOCKET_PROTOCOL"] = offered
    answer = handshake(environ)
    assert answer is not None
    lines = [line for line in answer.split(b"\r\n") if line.lower().startswith(b"sec-websocket-protocol")]
    assert lines == ([b"Sec-WebSocket-Protocol: " + chosen] if chosen else [])


# -- what a client may send --------------------------------------------------------------------------------------------


def test_a_turn_handles_a_few_frames_and_the_next_turn_the_rest(bench: Bench) -> None:
    bench.send(masked_frame(TEXT, b"3") * (websocket.FRAMES_A_TURN + 1))
    assert len(bench.log.messages) == websocket.FRAMES_A_TURN
    bench.loop.timers[-1].fire()
    assert len(bench.log.messages) == websocket.FRAMES_A_TURN + 1


def test_the_closed_callback_is_called_once(bench: Bench) -> None:
    bench.connection.abort()
    bench.connection.abort()
    assert bench.closed == 1
