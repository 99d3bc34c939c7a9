"""The hooks into the Engine.IO library: order through every change of transport, and whatever a client may send."""

from __future__ import annotations

import json
import logging
import random
import socket
import threading
import time
from collections.abc import Iterator
from importlib.metadata import version

import pytest

from rag_pipeline.service import StatusServer
from rag_pipeline.socket_server import engine
from rag_pipeline.socket_server.application import Application
from rag_pipeline.status import PipelineStatus
from tests.socket_server.support import (
    BINARY,
    CLOSE,
    PING,
    POLLING_PATH,
    PONG,
    TEXT,
    WEBSOCKET_PATH,
    Client,
    ClosedError,
    PollingSession,
    RawWebSocket,
    WebSocketSession,
    clients,
    exchange,
    hammer,
    handshake_request,
    in_threads,
    lasting,
    masked_frame,
    new_pipeline,
    parse,
    request,
    reset,
    serving,
    ticking,
    wait_until,
)


@pytest.fixture
def pipeline() -> PipelineStatus:
    return new_pipeline()


@pytest.fixture
def server(pipeline: PipelineStatus) -> Iterator[StatusServer]:
    # Clients that read slowly are not what these tests are about: the bound has tests of its own.
    with serving(pipeline, backlog_limit_bytes=1 << 26) as running:
        yield running


def no_errors(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    """Whatever a client does is no error of the server's, and nothing prints a traceback."""
    errors = [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR or r.exc_info]
    assert errors == []
    assert "Traceback" not in capfd.readouterr().err


# -- versions ----------------------------------------------------------------------------------------------------------


def test_the_installed_libraries_are_in_the_checked_range() -> None:
    assert engine.unsupported() is None


@pytest.mark.parametrize(("name", "found"), [("python-engineio", "4.16.0"), ("python-socketio", "6.0.0rc1")])
def test_a_version_outside_the_range_is_named(monkeypatch: pytest.MonkeyPatch, name: str, found: str) -> None:
    monkeypatch.setattr(engine, "version", lambda asked: found if asked == name else version(asked))
    reason = engine.unsupported()
    assert reason is not None
    assert f"{name} {found} " in reason


def test_with_an_unchecked_version_the_service_starts_on_the_librarys_path_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, pipeline: PipelineStatus
) -> None:
    monkeypatch.setattr(engine, "version", lambda _: "4.99.1")
    with serving(pipeline) as server, WebSocketSession(server.socket_port) as client:
        client.follow(pipeline)
    assert len([r for r in caplog.records if "the library's own path" in r.getMessage()]) == 1


# -- the upgrade -------------------------------------------------------------------------------------------------------


class Upgrade:
    """A polling session that takes the steps of the upgrade one by one."""

    def __init__(self, server: StatusServer) -> None:
        self.polling = PollingSession(server.socket_port)
        self.followed = Client()
        self.websocket: RawWebSocket | None = None

    def follow(self, packets: list[str]) -> list[str]:
        """Follow the events among the packets; return the rest."""
        rest = []
        for packet in packets:
            if packet.startswith("42"):
                _, name, payload = parse(packet)
                self.followed.follow(name, payload)
            else:
                rest.append(packet)
        return rest

    def poll(self) -> list[str]:
        packets, self.polling.received = self.polling.received, []
        return self.follow(packets or self.polling.poll())

    def open(self) -> RawWebSocket:
        self.websocket = RawWebSocket(self.polling.port, path=f"{WEBSOCKET_PATH}&sid={self.polling.open['sid']}")
        return self.websocket

    def probe(self) -> None:
        websocket = self.websocket or self.open()
        websocket.send("2probe")
        assert websocket.receive() == "3probe"

    def finish(self, pipeline: PipelineStatus) -> None:
        """Send the upgrade, then follow on the WebSocket to the end."""
        assert self.websocket is not None
        self.websocket.send("5")
        self.follow_to_the_end(pipeline)

    def follow_to_the_end(self, pipeline: PipelineStatus) -> None:
        assert self.websocket is not None
        aim = pipeline.get()
        while self.followed.state is None or self.followed.state["seq"] < aim["seq"]:
            self.follow([self.websocket.receive()])
        if self.followed.state["seq"] == aim["seq"]:  # else it went on meanwhile
            assert lasting(self.followed.state) == lasting(aim)

    def close(self) -> None:
        self.polling.__exit__()
        if self.websocket is not None:
            self.websocket.socket.close()


@pytest.fixture
def upgrade(server: StatusServer) -> Iterator[Upgrade]:
    made = Upgrade(server)
    yield made
    made.close()


def test_events_between_the_steps_of_an_upgrade_keep_their_order(upgrade: Upgrade, pipeline: PipelineStatus) -> None:
    upgrade.poll()
    pipeline.update(step="polling")
    upgrade.poll()
    upgrade.open()
    pipeline.update(step="websocket is open")
    upgrade.probe()
    pipeline.update(step="probed")
    pipeline.update(step="probed, twice")
    assert upgrade.poll() == ["6"], "held back for the WebSocket"
    pipeline.update(step="before the upgrade packet")
    upgrade.finish(pipeline)
    pipeline.update(step="upgraded")
    assert upgrade.websocket is not None
    upgrade.follow([upgrade.websocket.receive()])
    assert upgrade.followed.state is not None
    assert upgrade.followed.state["step"] == "upgraded"


def test_a_poll_under_way_is_ended_by_the_probe(upgrade: Upgrade) -> None:
    upgrade.poll()
    answers: list[list[str]] = []
    poller = threading.Thread(target=lambda: answers.append(upgrade.poll()), daemon=True)
    poller.start()
    upgrade.probe()
    poller.join(60)
    assert answers == [["6"]]


def test_an_open_websocket_that_never_probes_holds_no_events_back(upgrade: Upgrade, pipeline: PipelineStatus) -> None:
    """A proxy may let the handshake through and nothing else."""
    upgrade.poll()
    upgrade.open()
    for step in range(5):
        pipeline.update(step=step)
        upgrade.poll()
        assert upgrade.followed.state is not None
        assert upgrade.followed.state["step"] == step


def test_an_upgrade_that_does_not_get_on_is_given_up_and_polling_goes_on(
    monkeypatch: pytest.MonkeyPatch, pipeline: PipelineStatus
) -> None:
    monkeypatch.setattr(engine, "UPGRADE_TIMEOUT_SECONDS", 0.3)
    with serving(pipeline) as server:
        upgrade = Upgrade(server)
        upgrade.poll()
        upgrade.probe()
        pipeline.update(step="held")
        assert upgrade.websocket is not None
        upgrade.websocket.wait_for_end()
        while upgrade.followed.state is None or "step" not in upgrade.followed.state:
            upgrade.poll()
        pipeline.update(step="later")
        upgrade.poll()
        assert upgrade.followed.state["step"] == "later"
        upgrade.close()


@pytest.mark.parametrize("said", ["5", "4x", "3probe", "2", "2prob", "garbage"])
def test_an_upgrade_that_begins_wrong_is_given_up_and_polling_goes_on(
    upgrade: Upgrade, pipeline: PipelineStatus, said: str
) -> None:
    upgrade.poll()
    websocket = upgrade.open()
    websocket.send(said)
    if said != "5":
        websocket.wait_for_end()
        pipeline.update(step="later")
        upgrade.poll()
        assert upgrade.followed.state is not None
        assert upgrade.followed.state["step"] == "later"


def test_a_websocket_that_is_lost_before_the_switch_leaves_polling_as_it_was(
    upgrade: Upgrade, pipeline: PipelineStatus
) -> None:
    upgrade.poll()
    upgrade.probe()
    assert upgrade.websocket is not None
    upgrade.websocket.vanish()
    pipeline.update(step="later")
    while upgrade.followed.state is None or upgrade.followed.state.get("step") != "later":
        upgrade.poll()


def test_only_one_upgrade_at_a_time(upgrade: Upgrade, pipeline: PipelineStatus) -> None:
    upgrade.poll()
    upgrade.open()
    second = RawWebSocket(upgrade.polling.port, path=f"{WEBSOCKET_PATH}&sid={upgrade.polling.open['sid']}")
    assert second.answer.startswith(b"HTTP/1.1 400 ")
    second.socket.close()
    upgrade.probe()
    upgrade.finish(pipeline)
    third = RawWebSocket(upgrade.polling.port, path=f"{WEBSOCKET_PATH}&sid={upgrade.polling.open['sid']}")
    assert third.answer.startswith(b"HTTP/1.1 400 ")
    third.socket.close()


def test_an_upgraded_session_refuses_polls(upgrade: Upgrade, pipeline: PipelineStatus) -> None:
    upgrade.poll()
    upgrade.probe()
    pipeline.update(step="switched")
    upgrade.finish(pipeline)
    with pytest.raises(ClosedError):
        upgrade.polling.poll()
    pipeline.update(step="still there")
    upgrade.follow_to_the_end(pipeline)


def test_a_poll_left_hanging_by_the_switch_does_not_end_the_session(
    pipeline: PipelineStatus,
) -> None:
    """A client that switches without waiting for its poll: the poll runs out later and must do no harm."""
    with serving(pipeline, ping_interval_seconds=1, ping_timeout_seconds=3) as server:
        upgrade = Upgrade(server)
        upgrade.poll()
        websocket = upgrade.open()
        websocket.send("2probe")
        websocket.send("5")
        assert websocket.receive() == "3probe"
        hanging = socket.create_connection(("127.0.0.1", server.socket_port))
        hanging.sendall(f"GET {upgrade.polling.path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        done = threading.Event()

        def read() -> None:
            while not done.is_set():
                try:
                    upgrade.follow([websocket.receive()])
                except (ClosedError, TimeoutError, OSError):
                    return

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        wait_until(lambda: websocket.pings >= 6)
        done.set()
        pipeline.update(step="alive")
        wait_until(lambda: bool(upgrade.followed.state and upgrade.followed.state.get("step") == "alive"))
        hanging.close()
        upgrade.close()


def test_upgrades_with_random_delays_under_load_miss_nothing_trap_3(
    server: StatusServer, pipeline: PipelineStatus
) -> None:
    all_upgraded, all_quiet = threading.Barrier(13), threading.Event()

    def watch(number: int) -> None:
        upgrade = Upgrade(server)
        try:
            follow(upgrade, random.Random(number))
        finally:
            upgrade.close()

    def follow(upgrade: Upgrade, chance: random.Random) -> None:
        for _ in range(chance.randrange(4)):
            upgrade.poll()
        upgrade.open()
        for _ in range(chance.randrange(3)):
            upgrade.poll()
        upgrade.probe()
        while upgrade.poll() != ["6"]:
            pass
        time.sleep(chance.random() / 5)  # a slow client: its events pile up meanwhile
        upgrade.finish(pipeline)
        all_upgraded.wait(60)
        assert all_quiet.wait(60)
        upgrade.follow_to_the_end(pipeline)

    def make_noise() -> None:
        threads = hammer(pipeline, 3, 250)
        with ticking(pipeline):
            for thread in threads:
                thread.join()
            all_upgraded.wait(60)
        all_quiet.set()

    in_threads(13, lambda number: watch(number) if number else make_noise())


# -- garbage -----------------------------------------------------------------------------------------------------------

RUDE = {
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


@pytest.mark.parametrize("name", RUDE)
def test_a_breach_of_websocket_ends_that_client_alone(
    server: StatusServer,
    pipeline: PipelineStatus,
    name: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    data, code = RUDE[name]
    with WebSocketSession(server.socket_port) as other, WebSocketSession(server.socket_port) as rude:
        rude.receive()
        try:
            rude.socket.sendall(data)
        except ConnectionError:
            pass
        assert rude.wait_for_end() == code
        wait_until(lambda: clients(server)["total"] == 1)
        pipeline.update(status="running")
        other.follow(pipeline)
    no_errors(caplog, capfd)


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
    "42/pipeline,[]",
    "42/pipeline,",
    "42/pipeline,null",
    "42/pipeline,{}",
    "42/pipeline,[" + "[" * 10_000,
    '451-/pipeline,["bin",{"_placeholder":true,"num":0}]',
    '459999999-/pipeline,["bin",{"_placeholder":true,"num":0}]',
    '461-/pipeline,1["bin",{"_placeholder":true,"num":0}]',
    "44/pipeline,{}",
    "47",
    "49/pipeline,",
    "4",
    "4x",
    '4{"a":1}',
    "4null",
    "4[1]",
    "3",
    "3probe",
    "41/nowhere,",
    "41/local_files,",
    "40/nowhere,",
    "40/pipeline,",
    '40/google_drive,{"token":"x"}',
    "bAAEC",
    "b!!!",
]


@pytest.mark.parametrize("text", ENDING)
def test_what_is_not_engine_io_ends_that_client_alone(
    server: StatusServer,
    pipeline: PipelineStatus,
    text: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with WebSocketSession(server.socket_port) as other, WebSocketSession(server.socket_port) as rude:
        rude.send(text)
        rude.wait_for_end()
        wait_until(lambda: clients(server)["total"] == 1)
        pipeline.update(status="running")
        other.follow(pipeline)
    no_errors(caplog, capfd)


def test_events_acks_and_binary_packets_of_clients_are_ignored(
    server: StatusServer,
    pipeline: PipelineStatus,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with WebSocketSession(server.socket_port) as client:
        for text in IGNORED:
            client.send(text)
        client.socket.sendall(masked_frame(BINARY, b"\x00" * 100) * 50)
        client.socket.sendall(masked_frame(PING, b"there?"))
        pipeline.update(status="running")
        followed, answers, alive = Client(), [], False
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
    no_errors(caplog, capfd)


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
def test_garbage_by_polling_ends_that_session_at_most(
    server: StatusServer,
    pipeline: PipelineStatus,
    body: bytes,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with PollingSession(server.socket_port) as rude, WebSocketSession(server.socket_port) as other:
        rude.receive()
        if rude.try_post(body) == 400:
            wait_until(lambda: clients(server)["total"] == 1)
        pipeline.update(status="running")
        other.follow(pipeline)
    no_errors(caplog, capfd)


def test_events_of_polling_clients_are_ignored_too(server: StatusServer, pipeline: PipelineStatus) -> None:
    with PollingSession(server.socket_port) as client:
        client.receive()
        for text in IGNORED:
            if not text.startswith("40"):
                client.post(text)
        client.post('42/pipeline,["a"]\x1e42/pipeline,["b"]\x1e3')
        pipeline.update(status="running")
        assert client.receive_event()[2]["seq"] == 1


ASKED_WRONGLY = [
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


@pytest.mark.parametrize("path", ASKED_WRONGLY)
def test_a_wrong_request_is_answered_400_in_one_line(
    server: StatusServer, path: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    status, _, body = request(server.socket_port, path)
    assert status == 400
    assert len(body.splitlines()) == 1
    no_errors(caplog, capfd)


def test_a_client_of_engine_io_3_is_told_why(server: StatusServer) -> None:
    _, _, body = request(server.socket_port, "/socket.io/?EIO=3&transport=polling")
    assert "unsupported version" in json.loads(body)


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
def test_a_wrong_handshake_is_answered_400_and_leaves_nothing(
    server: StatusServer, wrong: tuple[str, str], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = handshake_request().replace(wrong[0].encode(), wrong[1].encode())
    answer = exchange(server.socket_port, asked.replace(b"\r\n\r\n", b"\r\nX-End: 1\r\n\r\n"))
    assert answer.startswith(b"HTTP/1.1 400 ")
    no_errors(caplog, capfd)


def test_compression_is_never_negotiated_trap_6(server: StatusServer, pipeline: PipelineStatus) -> None:
    offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
    with WebSocketSession(server.socket_port, offer) as client:
        assert b"extensions" not in client.answer.lower()
        client.follow(pipeline)


# -- pings -------------------------------------------------------------------------------------------------------------


def test_the_handshake_carries_the_settings_trap_8(pipeline: PipelineStatus) -> None:
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


def test_a_client_that_answers_no_ping_is_dropped_and_one_that_does_stays(pipeline: PipelineStatus) -> None:
    with (
        serving(pipeline, ping_interval_seconds=1, ping_timeout_seconds=4) as server,
        WebSocketSession(server.socket_port) as silent,
        WebSocketSession(server.socket_port) as good,
        PollingSession(server.socket_port) as polling,
        PollingSession(server.socket_port) as gone,
    ):
        gone.receive()
        silent.answers_pings = False
        ended, leaving = threading.Event(), threading.Event()

        def keep_alive() -> None:
            try:
                while True:
                    good.receive()
            except (ClosedError, OSError, AssertionError):
                ended.set()

        def keep_polling() -> None:
            try:
                while not leaving.is_set():
                    polling.poll()
            except (ClosedError, OSError):
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
        leaving.set()  # a poll after the session was closed here would open a connection that no one closes
        good.vanish()
        for reader in readers:
            reader.join(60)


def test_pongs_that_no_one_asked_for_bring_no_more_pings(pipeline: PipelineStatus) -> None:
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


def test_a_client_that_vanishes_right_after_its_handshake_leaves_nothing(
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
    no_errors(caplog, capfd)


def test_what_a_leaving_client_costs_does_not_grow_with_the_others(
    server: StatusServer, pipeline: PipelineStatus
) -> None:
    """The library would go through all rooms, of which each client has one, for each client that leaves."""
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
    """Return the Engine.IO sessions that the library holds for this server."""
    return [sid for sid, session in application(server)._sio.eio.sockets.items() if not session.closed]


def application(server: StatusServer) -> Application:
    """Return the Socket.IO application of this server."""
    import gc

    hub = server._sockets.hub
    (app,) = [found for found in gc.get_objects() if isinstance(found, Application) and found._hub is hub]
    return app


def test_a_session_opened_by_polling_and_left_alone_is_forgotten(pipeline: PipelineStatus) -> None:
    with serving(pipeline, ping_interval_seconds=1, ping_timeout_seconds=1) as server:
        with PollingSession(server.socket_port) as client:
            client.receive()
        wait_until(lambda: clients(server)["total"] == 0)
        status, _, _ = request(server.socket_port, client.path)
        assert status == 400
        assert request(server.socket_port, POLLING_PATH)[0] == 200
