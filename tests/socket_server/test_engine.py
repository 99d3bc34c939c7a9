"""The Engine.IO and Socket.IO servers: invalid input, handshakes, pings, and sessions that end."""

from __future__ import annotations

import base64
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from rag_pipeline.service import StatusServer
from rag_pipeline.status.pipeline import PipelineStatus
from tests.socket_server.internals import application
from tests.socket_server.support import (
    BINARY,
    CLOSE,
    PING,
    POLLING_PATH,
    PONG,
    TEXT,
    ClientClosedError,
    PollingSession,
    StateClient,
    WebSocketSession,
    clients,
    exchange,
    handshake_request,
    masked_frame,
    new_pipeline,
    parse,
    request,
    reset,
    serving,
    wait_until,
)


@pytest.fixture
def pipeline() -> PipelineStatus:
    return new_pipeline()


@pytest.fixture
def server(pipeline: PipelineStatus) -> Iterator[StatusServer]:
    # These tests are not about slow clients: the bound has its own tests.
    with serving(pipeline, backlog_limit_bytes=1 << 26) as running:
        yield running


def assert_no_errors(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    """Check that no error was logged and no traceback printed: the fault is the client's."""
    errors = [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR or r.exc_info]
    assert errors == []
    assert "Traceback" not in capfd.readouterr().err


# -- garbage -----------------------------------------------------------------------------------------------------------

BAD_FRAMES = {
    "oversize text": (masked_frame(TEXT, b"4" + b"x" * (1 << 20)), 1009),
    "oversize binary": (masked_frame(BINARY, b"x" * 20_000), 1009),
    "unmasked": (masked_frame(TEXT, b"3", masked=False), 1002),
    "reserved bits": (masked_frame(TEXT, b"3", rsv=4), 1002),
    "reserved opcode": (masked_frame(0x5, b"3"), 1002),
    "no UTF-8": (masked_frame(TEXT, b"4\xff"), 1007),
    "noise": (b"\x00\x01\x02 GET / HTTP/1.1\r\n\r\n" * 10, 1002),
    "close": (masked_frame(CLOSE, (1000).to_bytes(2, "big")), None),
    "empty close": (masked_frame(CLOSE, b""), None),
}


@pytest.mark.parametrize("name", BAD_FRAMES)
def test_an_invalid_frame_ends_only_that_client(
    server: StatusServer,
    pipeline: PipelineStatus,
    name: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    data, code = BAD_FRAMES[name]
    with WebSocketSession(server.socket_port) as other, WebSocketSession(server.socket_port) as hostile:
        hostile.receive()
        try:
            hostile.socket.sendall(data)
        except ConnectionError:
            pass
        assert hostile.wait_for_end() == code
        wait_until(lambda: clients(server)["total"] == 1)
        pipeline.update(status="running")
        other.follow(pipeline)
    assert_no_errors(caplog, capfd)


ENDING = ["", "x", "9", "0{}", "6", "1", "2", "\x00", "ä", "4" + "[" * 10_000, "-1"]
IGNORED = [
    '42/pipeline,["hello",{"x":1}]',
    '42/pipeline,17["with an ack",1]',
    '42/pipeline,["connect",{},null]',
    '42/pipeline,["disconnect","me"]',
    '42/pipeline,["pipeline:status",{}]',
    '43/pipeline,5["an ack"]',
    '42/nowhere,["hello"]',
    '42["to the root"]',
    '451-/pipeline,["bin",{"_placeholder":true,"num":0}]',
    "bAAEC",
    '462-/pipeline,1[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]',
    "bAAEC",
    "bAAEC",
    "3",
    "3probe",
    "41/nowhere,",
    "41/local_files,",
    "40/nowhere,",
    "40/pipeline,",
    '40/google_drive,{"token":"x"}',
]
INVALID_PACKETS = [
    "42/pipeline,[]",
    "42/pipeline,",
    "42/pipeline,null",
    "42/pipeline,{}",
    "42/pipeline,[" + "[" * 10_000,
    '42abc["an ack id that is none"]',
    '459999999-/pipeline,["bin",{"_placeholder":true,"num":0}]',
    '451-/pipeline,["bin",{"_placeholder":true,"num":0}]\x1e42/pipeline,["no attachment"]',
    "44/pipeline,{}",
    "47",
    "49/pipeline,",
    "4",
    "4x",
    '4{"a":1}',
    "4null",
    "4[1]",
    "bAAEC",
    "b!!!",
]


@pytest.mark.slow
@pytest.mark.parametrize("text", ENDING + INVALID_PACKETS)
def test_an_invalid_packet_ends_only_that_client(
    server: StatusServer,
    pipeline: PipelineStatus,
    text: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with WebSocketSession(server.socket_port) as other, WebSocketSession(server.socket_port) as hostile:
        for packet in text.split("\x1e"):
            hostile.send(packet)
        hostile.wait_for_end()
        wait_until(lambda: clients(server)["total"] == 1)
        pipeline.update(status="running")
        other.follow(pipeline)
    assert_no_errors(caplog, capfd)


def test_events_acks_and_binary_packets_of_clients_are_ignored(
    server: StatusServer,
    pipeline: PipelineStatus,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with WebSocketSession(server.socket_port) as client:
        for text in IGNORED:
            client.send(text)
        client.send('453-/pipeline,["bin"]')
        client.socket.sendall(masked_frame(BINARY, b"\x00" * 100) * 3)
        client.socket.sendall(masked_frame(PING, b"there?"))
        pipeline.update(status="running")
        followed, answers, alive = StateClient(), [], False
        while not alive or followed.state is None or followed.state["seq"] < 1:
            opcode, payload = client.receive_frame()
            if opcode == PONG:
                alive = True
            elif payload.startswith(b"42/pipeline,"):
                _, name, event = parse(payload.decode())
                followed.follow(name, event)
            elif not payload.startswith(b"42/google_drive,"):
                answers.append(payload.decode().split(",")[0])
        assert followed.summaries == 0, "one snapshot"
        assert answers == ["44/nowhere", "44/pipeline", "40/google_drive"]
    assert_no_errors(caplog, capfd)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"9",
        b"x",
        b"\x1e",
        b"\x1e".join([b"3"] * 17),
        b"4" + b"[" * 10_000,
        b"4" + b"x" * 20_000,
        b"d=x",
        b"b!!!",
        b"1",
    ],
)
def test_garbage_in_a_post_ends_only_that_session(
    server: StatusServer,
    pipeline: PipelineStatus,
    body: bytes,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with PollingSession(server.socket_port) as hostile, WebSocketSession(server.socket_port) as other:
        hostile.receive()
        if hostile.try_post(body) != 200:
            wait_until(lambda: clients(server)["total"] == 1)
        pipeline.update(status="running")
        other.follow(pipeline)
    assert_no_errors(caplog, capfd)


@pytest.mark.parametrize("text", INVALID_PACKETS)
def test_an_invalid_packet_ends_a_polling_session(server: StatusServer, text: str) -> None:
    with PollingSession(server.socket_port) as client:
        client.try_post(text)
        wait_until(lambda: clients(server)["total"] == 0)
        assert request(server.socket_port, client.path)[0] == 400


FIRST = {
    "msgpack": (BINARY, b"\x83\xa4type\x00\xa4data\xc0\xa3nsp\xa9/pipeline"),
    "an event": (TEXT, b'42/pipeline,["hello"]'),
    "JSON alone": (TEXT, b'4{"type":0,"nsp":"/pipeline"}'),
    "no packet": (TEXT, b"4abc"),
    "no type": (TEXT, b"hello"),
}


@pytest.mark.parametrize("name", FIRST)
@pytest.mark.parametrize("polling", [False, True])
def test_a_client_with_another_protocol_or_parser_is_closed_at_its_first_packet(
    server: StatusServer, name: str, polling: bool
) -> None:
    opcode, payload = FIRST[name]
    if not polling:
        with WebSocketSession(server.socket_port, namespace=None) as client:
            client.socket.sendall(masked_frame(opcode, payload))
            client.wait_for_end()
        return
    with PollingSession(server.socket_port, namespace=None) as client:
        client.try_post(b"b" + base64.b64encode(payload) if opcode == BINARY else payload)
        with pytest.raises(ClientClosedError):
            client.poll()


def test_events_of_polling_clients_are_ignored_too(server: StatusServer, pipeline: PipelineStatus) -> None:
    with PollingSession(server.socket_port) as client:
        client.receive()
        for text in IGNORED:
            if not text.startswith("40"):
                client.post(text)
        client.post('42/pipeline,["a"]\x1e42/pipeline,["b"]\x1e3')
        pipeline.update(status="running")
        assert client.receive_event()[2]["seq"] == 1


INVALID_REQUESTS = [
    "/socket.io/",
    "/socket.io/?EIO=3&transport=websocket",
    "/socket.io/?EIO=3&transport=polling",
    "/socket.io/?EIO=5&transport=polling",
    "/socket.io/?EIO=4&transport=webtransport",
    "/socket.io/?EIO=4&transport=flashsocket",
    "/socket.io/?EIO=4&transport=websocket",
    "/socket.io/?EIO=4&transport=polling&sid=nobody",
    "/socket.io/?EIO=4&transport=polling&j=x",
    "/socket.io/?EIO=4&transport=websocket&sid=nobody",
]


@pytest.mark.parametrize("path", INVALID_REQUESTS)
def test_an_invalid_request_gets_400_and_one_line(
    server: StatusServer, path: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    status, _, body = request(server.socket_port, path)
    assert status == 400
    assert len(body.splitlines()) == 1
    assert_no_errors(caplog, capfd)


def test_a_client_of_engine_io_3_gets_the_reason(server: StatusServer) -> None:
    _, _, body = request(server.socket_port, "/socket.io/?EIO=3&transport=polling")
    assert json.loads(body) == {"code": 5, "message": "Unsupported protocol version"}


@pytest.mark.parametrize(
    "wrong",
    [
        ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 8"),
        ("Connection: Upgrade", "Connection: keep-alive"),
        ("Connection: Upgrade", "Connection: close"),
        ("Sec-WebSocket-Key: ", "Sec-WebSocket-Key: x"),
        ("Sec-WebSocket-Key: ", "X-Key: "),
    ],
)
def test_an_invalid_handshake_gets_400_and_leaves_no_session(
    server: StatusServer, wrong: tuple[str, str], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    handshake = handshake_request().replace(wrong[0].encode(), wrong[1].encode())
    answer = exchange(server.socket_port, handshake.replace(b"\r\n\r\n", b"\r\nX-End: 1\r\n\r\n"))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert_no_errors(caplog, capfd)


def test_compression_is_never_negotiated(server: StatusServer, pipeline: PipelineStatus) -> None:
    offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
    with WebSocketSession(server.socket_port, offer) as client:
        assert b"extensions" not in client.answer.lower()
        client.follow(pipeline)


# -- pings -------------------------------------------------------------------------------------------------------------


def test_the_handshake_carries_the_settings(pipeline: PipelineStatus) -> None:
    with (
        serving(pipeline, ping_interval_seconds=3, ping_timeout_seconds=2) as server,
        WebSocketSession(server.socket_port) as client,
        PollingSession(server.socket_port) as polling,
    ):
        for opened in (client.open, polling.open):
            assert opened["pingInterval"] == 3000
            assert opened["pingTimeout"] == 2000
            assert opened["maxPayload"] == 1 << 14
        assert client.open["upgrades"] == []
        assert polling.open["upgrades"] == ["websocket"]


@pytest.mark.slow
def test_only_a_client_that_answers_pings_stays(pipeline: PipelineStatus) -> None:
    with (
        serving(pipeline, ping_interval_seconds=1, ping_timeout_seconds=4) as server,
        WebSocketSession(server.socket_port) as silent,
        WebSocketSession(server.socket_port) as good,
        PollingSession(server.socket_port) as polling,
        PollingSession(server.socket_port) as gone,
    ):
        gone.receive()
        silent.answers_pings = False
        ended, done = threading.Event(), threading.Event()

        def keep_alive() -> None:
            try:
                while True:
                    good.receive()
            except (ClientClosedError, OSError, AssertionError):
                ended.set()

        def keep_polling() -> None:
            try:
                while not done.is_set():
                    polling.receive()
            except (ClientClosedError, OSError):
                pass

        readers = [threading.Thread(target=work, daemon=True) for work in (keep_alive, keep_polling)]
        for reader in readers:
            reader.start()
        silent.wait_for_end()
        assert silent.pings == 1
        wait_until(lambda: clients(server)["total"] == 2)
        wait_until(lambda: good.pings >= 4)
        assert not ended.is_set()
        assert clients(server)["total"] == 2
        done.set()
        pipeline.update(status="the poll under way ends")
        good.vanish()
        for reader in readers:
            reader.join(10)


@pytest.mark.slow
def test_unsolicited_pongs_cause_no_more_pings(pipeline: PipelineStatus) -> None:
    began = time.monotonic()
    with (
        serving(pipeline, ping_interval_seconds=1, ping_timeout_seconds=5) as server,
        WebSocketSession(server.socket_port) as client,
    ):
        while client.pings < 3:
            for _ in range(10):
                client.send("3")
            opcode, payload = client.receive_frame()
            if opcode == TEXT and payload == b"2":
                client.pings += 1
        assert time.monotonic() - began > 2.5


# -- sessions that leave nothing ---------------------------------------------------------------------------------------


def test_a_client_that_leaves_after_its_handshake_leaves_no_session(
    server: StatusServer,
    pipeline: PipelineStatus,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    sockets = server._sockets
    for _ in range(100):
        with socket.create_connection(("127.0.0.1", server.socket_port)) as connection:
            connection.sendall(handshake_request())
            reset(connection)
    seen: list[list[str]] = []

    def count() -> bool:
        seen.clear()
        sockets.hub.call(lambda: seen.append(sessions(server)))
        wait_until(lambda: bool(seen))
        return not seen[0]

    wait_until(count)
    with WebSocketSession(server.socket_port) as client:
        client.follow(pipeline)
    assert_no_errors(caplog, capfd)


def test_the_cost_of_a_disconnect_does_not_grow_with_the_number_of_clients(
    server: StatusServer, pipeline: PipelineStatus
) -> None:
    """The library would search all rooms at each disconnect, with a room for each client."""
    with WebSocketSession(server.socket_port) as one, WebSocketSession(server.socket_port) as other:
        one.follow(pipeline)
        other.follow(pipeline)
        rooms = application(server)._sio.manager.rooms
        assert [list(rooms[namespace]) for namespace in rooms] == [[None]]
        assert len(rooms["/pipeline"][None]) == 2
        other.vanish()
        wait_until(lambda: clients(server)["total"] == 1)
        assert len(rooms["/pipeline"][None]) == 1
    wait_until(lambda: not rooms)


def sessions(server: StatusServer) -> list[str]:
    """Return the server's Engine.IO sessions."""
    return [sid for sid, session in application(server)._sio.eio.sockets.items() if not session.closed]


@pytest.mark.slow
def test_an_abandoned_polling_session_is_removed(pipeline: PipelineStatus) -> None:
    with serving(pipeline, ping_interval_seconds=1, ping_timeout_seconds=1) as server:
        with PollingSession(server.socket_port) as client:
            client.receive()
        wait_until(lambda: clients(server)["total"] == 0)
        status, _, _ = request(server.socket_port, client.path)
        assert status == 400
        assert request(server.socket_port, POLLING_PATH)[0] == 200
