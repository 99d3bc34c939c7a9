"""One client's session: each step of the upgrade from polling to a WebSocket, and the events in between."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from rag_pipeline.service import StatusServer
from rag_pipeline.socket_server import session
from rag_pipeline.socket_server.eventlet_driver import loop as driver_loop
from rag_pipeline.status.pipeline import PipelineStatus
from tests.socket_server.internals import application
from tests.socket_server.support import (
    BINARY,
    CLOSE,
    TEXT,
    WEBSOCKET_PATH,
    ClientClosedError,
    PollingSession,
    RawWebSocket,
    StateClient,
    WebSocketSession,
    hammer,
    in_threads,
    new_pipeline,
    parse,
    serving,
    ticking,
    wait_until,
    without_volatile,
)


@pytest.fixture
def pipeline() -> PipelineStatus:
    return new_pipeline()


@pytest.fixture
def server(pipeline: PipelineStatus) -> Iterator[StatusServer]:
    # These tests are not about slow clients: the bound has its own tests.
    with serving(pipeline, backlog_limit_bytes=1 << 26) as running:
        yield running


class Upgrade:
    """A polling session that takes the steps of the upgrade one by one."""

    def __init__(self, server: StatusServer) -> None:
        self.polling = PollingSession(server.socket_port)
        self.followed = StateClient()
        self.websocket: RawWebSocket | None = None

    def follow(self, packets: list[str]) -> list[str]:
        """Follow the events among the packets; return the others."""
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
        if self.followed.state["seq"] == aim["seq"]:  # else the pipeline has changed in between
            assert without_volatile(self.followed.state) == without_volatile(aim)

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
    pipeline.update(own={"step": "polling"})
    upgrade.poll()
    upgrade.open()
    pipeline.update(own={"step": "websocket is open"})
    upgrade.probe()
    pipeline.update(own={"step": "probed"})
    pipeline.update(own={"step": "probed, twice"})
    assert upgrade.poll() == ["6"], "held back for the WebSocket"
    pipeline.update(own={"step": "before the upgrade packet"})
    upgrade.finish(pipeline)
    pipeline.update(own={"step": "upgraded"})
    assert upgrade.websocket is not None
    upgrade.follow([upgrade.websocket.receive()])
    assert upgrade.followed.state is not None
    assert upgrade.followed.state["step"] == "upgraded"


def test_the_probe_ends_the_poll_under_way(upgrade: Upgrade) -> None:
    upgrade.poll()
    answers: list[list[str]] = []
    poller = threading.Thread(target=lambda: answers.append(upgrade.poll()), daemon=True)
    poller.start()
    upgrade.probe()
    poller.join(10)
    assert answers == [["6"]]


def test_an_open_websocket_that_never_probes_delays_no_events(upgrade: Upgrade, pipeline: PipelineStatus) -> None:
    """A proxy may forward the handshake and nothing else."""
    upgrade.poll()
    upgrade.open()
    for step in range(5):
        pipeline.update(own={"step": step})
        upgrade.poll()
        assert upgrade.followed.state is not None
        assert upgrade.followed.state["step"] == step


def test_an_upgrade_that_stalls_is_cancelled_and_polling_continues(
    monkeypatch: pytest.MonkeyPatch, pipeline: PipelineStatus
) -> None:
    monkeypatch.setattr(session, "UPGRADE_TIMEOUT_SECONDS", 0.3)
    with serving(pipeline) as server:
        upgrade = Upgrade(server)
        upgrade.poll()
        upgrade.probe()
        pipeline.update(own={"step": "held"})
        assert upgrade.websocket is not None
        upgrade.websocket.wait_for_end()
        while upgrade.followed.state is None or "step" not in upgrade.followed.state:
            upgrade.poll()
        pipeline.update(own={"step": "later"})
        upgrade.poll()
        assert upgrade.followed.state["step"] == "later"
        upgrade.close()


@pytest.mark.parametrize("packet", ["5", "4x", "3probe", "2", "2prob", "garbage"])
def test_an_upgrade_that_begins_with_another_packet_is_cancelled_and_polling_continues(
    upgrade: Upgrade, pipeline: PipelineStatus, packet: str
) -> None:
    upgrade.poll()
    websocket = upgrade.open()
    websocket.send(packet)
    if packet != "5":
        websocket.wait_for_end()
        pipeline.update(own={"step": "later"})
        upgrade.poll()
        assert upgrade.followed.state is not None
        assert upgrade.followed.state["step"] == "later"


def test_polling_continues_if_the_websocket_breaks_before_the_upgrade(
    upgrade: Upgrade, pipeline: PipelineStatus
) -> None:
    upgrade.poll()
    upgrade.probe()
    assert upgrade.websocket is not None
    upgrade.websocket.vanish()
    pipeline.update(own={"step": "later"})
    while upgrade.followed.state is None or upgrade.followed.state.get("step") != "later":
        upgrade.poll()


def test_only_one_upgrade_at_a_time(upgrade: Upgrade, pipeline: PipelineStatus) -> None:
    upgrade.poll()
    upgrade.open()
    turn_away(upgrade)
    upgrade.probe()
    turn_away(upgrade)
    upgrade.finish(pipeline)
    turn_away(upgrade)
    pipeline.update(own={"step": "still there"})
    upgrade.follow_to_the_end(pipeline)


def turn_away(upgrade: Upgrade) -> None:
    """Open another WebSocket for the session: it is closed at once."""
    path = f"{WEBSOCKET_PATH}&sid={upgrade.polling.open['sid']}"
    with RawWebSocket(upgrade.polling.port, path=path) as another:
        assert another.receive_frame() == (CLOSE, (1000).to_bytes(2, "big"))
    with RawWebSocket(upgrade.polling.port, "Origin: http://evil.example", path=path) as another:
        assert another.answer.startswith(b"HTTP/1.1 400 ")


def test_an_upgraded_session_refuses_polls(upgrade: Upgrade, pipeline: PipelineStatus) -> None:
    upgrade.poll()
    upgrade.probe()
    pipeline.update(own={"step": "switched"})
    upgrade.finish(pipeline)
    with pytest.raises(ClientClosedError):
        upgrade.polling.poll()
    pipeline.update(own={"step": "still there"})
    upgrade.follow_to_the_end(pipeline)


@pytest.mark.slow
def test_a_poll_left_over_from_the_upgrade_does_not_end_the_session(
    pipeline: PipelineStatus,
) -> None:
    """If a client upgrades without waiting for its poll, the poll times out later and must do no harm."""
    with serving(pipeline, ping_interval_seconds=1, ping_timeout_seconds=1) as server:
        upgrade = Upgrade(server)
        upgrade.poll()
        websocket = upgrade.open()
        websocket.send("2probe")
        websocket.send("5")
        assert websocket.receive() == "3probe"
        hanging = socket.create_connection(("127.0.0.1", server.socket_port))
        hanging.sendall(f"GET {upgrade.polling.path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        done = threading.Event()

        def read() -> None:
            while not done.is_set():
                try:
                    upgrade.follow([websocket.receive()])
                except (ClientClosedError, TimeoutError, OSError):
                    return

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        wait_until(lambda: websocket.pings >= 3)
        done.set()
        pipeline.update(own={"step": "alive"})
        wait_until(lambda: bool(upgrade.followed.state and upgrade.followed.state.get("step") == "alive"))
        hanging.close()
        upgrade.close()


@pytest.mark.slow
def test_upgrades_with_random_delays_under_load_miss_no_event(server: StatusServer, pipeline: PipelineStatus) -> None:
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
        all_upgraded.wait(30)
        assert all_quiet.wait(30)
        upgrade.follow_to_the_end(pipeline)

    def make_noise() -> None:
        threads = hammer(pipeline, 3, 250)
        with ticking(pipeline):
            for thread in threads:
                thread.join()
            all_upgraded.wait(30)
        all_quiet.set()

    in_threads(13, lambda number: watch(number) if number else make_noise())


# -- what goes out -----------------------------------------------------------------------------------------------------


def send(server: StatusServer, client: str, *packets: str | bytes) -> None:
    """Send messages through the library, as Socket.IO does."""
    done: list[bool] = []

    def run() -> None:
        for packet in packets:
            application(server)._sio.eio.send(client, packet)
        done.append(True)

    server._sockets.hub.call(run)
    wait_until(lambda: bool(done))


@pytest.mark.slow
def test_binary_packets_are_binary_frames_on_a_websocket(server: StatusServer) -> None:
    with WebSocketSession(server.socket_port, namespace=None) as client:
        send(server, client.open["sid"], b"\x01\x02\x03\x04", "text", b"")
        assert client.receive_frame() == (BINARY, b"\x01\x02\x03\x04")
        assert client.receive_frame() == (TEXT, b"4text")
        assert client.receive_frame() == (BINARY, b"")


@pytest.mark.slow
def test_binary_packets_are_base64_in_a_poll(server: StatusServer) -> None:
    with PollingSession(server.socket_port, namespace=None) as client:
        send(server, client.open["sid"], b"\x01\x02\x03\x04", "text")
        packets = client.poll()
        while len(packets) < 2:
            packets += client.poll()
        assert packets == ["bAQIDBA==", "4text"]


def test_binary_packets_that_wait_during_an_upgrade_become_binary_frames(
    upgrade: Upgrade, server: StatusServer
) -> None:
    upgrade.poll()
    upgrade.probe()
    send(server, upgrade.polling.open["sid"], b"\x01\x02")
    assert upgrade.websocket is not None
    upgrade.websocket.send("5")
    assert upgrade.websocket.receive_frame() == (BINARY, b"\x01\x02")


@pytest.mark.slow
def test_close_is_alone_in_its_answer(
    server: StatusServer, pipeline: PipelineStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """socket.io-client closes at CLOSE and keeps the events before it for its next connection."""
    monkeypatch.setattr(driver_loop, "STOP_STEP_SECONDS", 4.0)  # on a busy machine the next poll may be late
    with PollingSession(server.socket_port) as client:
        while not client.receive().startswith("42"):
            pass
        for number in range(20):
            pipeline.add_processing_file(f"file-{number}", str(number))
        engine = application(server)._sio.eio
        (polling,) = engine.sockets.values()
        wait_until(lambda: polling.queued_bytes > 0)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        wait_until(lambda: engine.stopping)  # a client between two polls that has nothing to get gets no CLOSE
        answers = [client.poll()]
        while answers[-1] != ["1"]:
            answers.append(client.poll())
        stopping.join(20)
    assert sum(packet.startswith("42") for answer in answers for packet in answer) >= 20
    assert all("1" not in answer for answer in answers[:-1])
