"""Slow, broken and many clients: each loses at most its own connection."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import re
import resource
import selectors
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from rag_pipeline.status.pipeline import PipelineStatus
from tests.socket_server.support import (
    HOST,
    ClientClosedError,
    PollingSession,
    StateClient,
    WebSocketSession,
    clients,
    exchange,
    hammer,
    handshake_request,
    in_threads,
    masked_frame,
    new_pipeline,
    parse,
    request,
    serving,
    ticking,
    wait_until,
    wait_until_live,
    without_volatile,
)

pytestmark = pytest.mark.slow


@pytest.fixture
def pipeline() -> PipelineStatus:
    return new_pipeline()


@pytest.fixture(params=[True, False], ids=["direct", "library"])
def direct(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def resident_bytes() -> int:
    with open("/proc/self/statm") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * resource.getpagesize()


# -- order under load --------------------------------------------------------------------------------------------------


def test_no_event_is_missed_or_repeated_while_clients_come_and_go(pipeline: PipelineStatus, direct: bool) -> None:
    """Clients of both transports that connect at any moment get the snapshot, then each event once in order."""
    # On a busy machine a poller may fall behind by more than the bound; this test is about order.
    with serving(pipeline, direct=direct, backlog_limit_bytes=1 << 26) as server:
        done, at_rest = threading.Event(), threading.Barrier(9)

        def storm(number: int) -> None:
            chance = random.Random(number)
            while not done.is_set():
                make = PollingSession if number % 3 == 0 else WebSocketSession
                with make(server.socket_port) as client:
                    followed = StateClient()
                    for _ in range(chance.randrange(1, 60)):
                        _, name, payload = client.receive_event()
                        followed.follow(name, payload)
                    if isinstance(client, WebSocketSession) and chance.random() < 0.5:
                        client.vanish()
            at_rest.wait(60)
            with WebSocketSession(server.socket_port) as last:
                last.follow(pipeline)

        def mutate() -> None:
            with ticking(pipeline):
                for _ in range(2):
                    for thread in hammer(pipeline, 3, 120):
                        thread.join()
                    time.sleep(0.3)
                done.set()
                at_rest.wait(60)  # some clients still wait for events

        in_threads(9, lambda number: mutate() if number == 8 else storm(number))
        with WebSocketSession(server.socket_port) as last:
            last.follow(pipeline)


def test_a_reader_with_a_tiny_buffer_gets_every_byte_in_order(pipeline: PipelineStatus, direct: bool) -> None:
    chance = random.Random(5)
    # Each event is larger than the kernel's buffer for this client.
    with (
        serving(pipeline, direct=direct, backlog_limit_bytes=1 << 26) as server,
        WebSocketSession(server.socket_port, receive_buffer=2048) as slow,
    ):
        slow.read_size = lambda: chance.choice([1, 7, 100, 1000, 5000])
        threads = hammer(pipeline, 2, 100)
        for number in range(30):
            pipeline.update(own={"own_field": "x" * chance.randrange(1, 30_000), "number": number})
        for thread in threads:
            thread.join()
        slow.follow(pipeline)


def test_a_slow_polling_client_gets_every_event(pipeline: PipelineStatus, direct: bool) -> None:
    with serving(pipeline, direct=direct) as server, PollingSession(server.socket_port) as slow:
        threads = hammer(pipeline, 2, 100)
        client = StateClient()
        while any(thread.is_alive() for thread in threads):
            _, name, payload = slow.receive_event()
            client.follow(name, payload)
            if not slow.received:
                time.sleep(0.05)
        slow.follow(pipeline, client)


def test_a_reset_in_the_middle_of_a_frame_affects_no_other_client(
    pipeline: PipelineStatus, caplog: pytest.LogCaptureFixture, direct: bool
) -> None:
    with (
        serving(pipeline, direct=direct, backlog_limit_bytes=1 << 26) as server,
        WebSocketSession(server.socket_port) as other,
    ):
        victims = [WebSocketSession(server.socket_port, receive_buffer=2048) for _ in range(5)]
        for number in range(30):
            pipeline.update(own={"own_field": "y" * 60_000, "number": number})
        for victim in victims:
            victim.socket.recv(500)  # part of a frame
            victim.vanish()
        other.follow(pipeline)
        if direct:
            wait_until(lambda: clients(server)["total"] == 1)
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR] == []


# -- the bound ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_a_client_that_stops_reading_is_disconnected_and_logged_once(
    pipeline: PipelineStatus, caplog: pytest.LogCaptureFixture, transport: str, direct: bool
) -> None:
    limit = 1 << 18
    with (
        serving(pipeline, direct=direct, backlog_limit_bytes=limit) as server,
        WebSocketSession(server.socket_port) as other,
    ):
        stalled: WebSocketSession | PollingSession
        if transport == "websocket":
            stalled = WebSocketSession(server.socket_port, receive_buffer=4096)
        else:
            stalled = PollingSession(server.socket_port)
        stalled.receive_event()
        other.receive_event()
        wait_until_live(server, 2)  # until then it gets no more than it takes, and nothing counts
        followed = StateClient()
        before = resident_bytes()
        number = 0
        while clients(server)["total"] == 2:
            number += 1
            assert number < 500, "40 MB and still connected"
            pipeline.update(own={"own_field": "z" * 80_000, "number": number})
            other.follow(pipeline, followed)
        assert resident_bytes() - before < 60_000_000
        pipeline.update(own={"own_field": "and on", "number": -1})
        other.follow(pipeline, followed)
        assert followed.state is not None
        with stalled, WebSocketSession(server.socket_port) as again:
            again.follow(pipeline)
    records = [r for r in caplog.records if "is disconnected" in r.getMessage()]
    assert len(records) == 1
    assert records[0].levelno == logging.WARNING
    assert str(limit) in records[0].getMessage()


def test_a_disconnected_slow_client_gets_a_new_snapshot(pipeline: PipelineStatus) -> None:
    with (
        serving(pipeline, backlog_limit_bytes=1 << 17) as server,
        # Not tiny: below the size of a segment the kernel sends the rest only by a timer.
        WebSocketSession(server.socket_port, receive_buffer=1 << 17) as slow,
    ):
        slow.receive_event()
        wait_until_live(server, 1)
        for number in range(500):
            pipeline.update(own={"own_field": "z" * 80_000, "number": number})
            if clients(server)["total"] == 0:
                break
        seen = StateClient()
        with contextlib.suppress(ClientClosedError):
            while True:
                _, name, payload = slow.receive_event()
                seen.follow(name, payload)  # fails unless events are in order, each once
        assert seen.state is not None
        assert seen.state["seq"] < pipeline.get()["seq"]
        assert server.health().body["clients_dropped"] == 1
        with WebSocketSession(server.socket_port) as again:
            _, name, payload = again.receive_event()
            assert payload["seq"] == pipeline.get()["seq"]


# -- many --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096 if hard == resource.RLIM_INFINITY else min(4096, hard)
    if wanted < 2600:
        pytest.skip(f"the limit of {hard} open files is too low for 1,100 clients in one process")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_descriptors")
def test_1100_clients_each_get_each_event(pipeline: PipelineStatus, direct: bool) -> None:
    count = 1100
    sockets: list[socket.socket] = []
    with serving(pipeline, direct=direct) as server, selectors.DefaultSelector() as ready:
        for _ in range(count):
            connection = socket.create_connection((HOST, server.socket_port), timeout=20)
            connection.sendall(handshake_request())
            sockets.append(connection)
        for connection in sockets:
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 101 ")
            connection.sendall(masked_frame(1, b"40/pipeline,"))
        wait_until(lambda: clients(server)["/pipeline"] == count)
        pipeline.update(status="running", own={"told": "everyone at once"})
        waiting = {}
        for number, connection in enumerate(sockets):
            waiting[connection] = b""
            ready.register(connection, selectors.EVENT_READ, number)
        deadline = time.monotonic() + 60
        while waiting:
            assert time.monotonic() < deadline, f"{len(waiting)} clients saw nothing"
            for key, _ in ready.select(1):
                connection = sockets[key.data]
                part = connection.recv(1 << 16)
                assert part, "disconnected"
                waiting[connection] += part
                if b"everyone at once" in waiting[connection]:
                    assert waiting.pop(connection).count(b"42/pipeline,") <= 2
                    ready.unregister(connection)
        assert clients(server)["total"] == count
        for connection in sockets:
            connection.close()
        wait_until(lambda: clients(server)["total"] == 0)


def test_the_server_accepts_again_after_a_shortage_of_descriptors(
    pipeline: PipelineStatus, caplog: pytest.LogCaptureFixture
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with serving(pipeline) as server, WebSocketSession(server.socket_port) as before:
        opened = [socket.socket() for _ in range(4)]  # for the clients of this test
        used = max(int(name) for name in os.listdir("/proc/self/fd"))  # noqa: PTH208
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 1, hard))
        taken = []
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        try:
            for client in opened:
                client.settimeout(20)
                client.connect((HOST, server.socket_port))
                client.sendall(handshake_request())
            wait_until(lambda: any("could not be accepted" in r.getMessage() for r in caplog.records))
            pipeline.update(status="running")
            before.follow(pipeline)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for descriptor in taken:
                os.close(descriptor)
        for client in opened:
            answer = client.recv(1 << 16)
            assert answer.startswith((b"HTTP/1.1 101 ", b"HTTP/1.1 500 ")), answer
            client.close()
        with WebSocketSession(server.socket_port) as after:
            after.follow(pipeline)
    assert len([r for r in caplog.records if "could not be accepted" in r.getMessage()]) <= 3


# -- HTTP --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /health HTTP/1.1\r\nno colon here\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 20_000 + b"\r\n",
        b"POST /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nContent-Length: 99999999\r\n\r\nabc",
        b"POST /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        bytes(random.Random(1).randbytes(5000)),
    ],
    ids=range(12),
)
def test_garbage_ends_only_that_http_connection(
    pipeline: PipelineStatus, data: bytes, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with serving(pipeline) as server:
        answer = exchange(server.socket_port, data)
        assert re.match(rb"(HTTP/1.[01] (200|4\d\d|50[01]) |<!DOCTYPE HTML>|$)", answer)
        assert b"Traceback" not in answer
        assert request(server.socket_port, "/health")[0] == 200
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR] == []
    assert "Traceback" not in capfd.readouterr().err


def test_silent_connections_do_not_block_others(pipeline: PipelineStatus) -> None:
    with serving(pipeline) as server:
        silent = [socket.create_connection((HOST, server.socket_port)) for _ in range(50)]
        for connection in silent[::2]:
            connection.sendall(b"GET /socket.io/?EIO=4")
        with WebSocketSession(server.socket_port) as client:
            client.follow(pipeline)
        for connection in silent:
            connection.close()


def test_an_incomplete_post_does_not_block_the_session(pipeline: PipelineStatus) -> None:
    with serving(pipeline) as server, PollingSession(server.socket_port) as client:
        client.receive()
        with socket.create_connection((HOST, server.socket_port)) as stalled:
            stalled.sendall(
                f"POST {client.path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n42/pipeline,".encode()
            )
            pipeline.update(status="running")
            assert client.receive_event()[2]["seq"] == 1


# -- the end -----------------------------------------------------------------------------------------------------------


def test_stop_is_bounded_with_stalled_clients_and_leaks_no_descriptor(
    pipeline: PipelineStatus, caplog: pytest.LogCaptureFixture, direct: bool
) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with serving(pipeline, direct=direct, backlog_limit_bytes=1 << 26) as server:
        stalled = [WebSocketSession(server.socket_port, receive_buffer=2048) for _ in range(5)]
        polling = PollingSession(server.socket_port)
        silent = socket.create_connection((HOST, server.socket_port))
        for number in range(80):
            pipeline.update(own={"own_field": "z" * 80_000, "number": number})
        server.stop()
        assert "did not stop within" not in caplog.text, "stop does not wait for stalled clients"
        for client in stalled:
            client.socket.close()
        polling.__exit__()
        silent.close()
    del server
    if direct:
        wait_until(lambda: len(os.listdir("/proc/self/fd")) <= before)  # noqa: PTH208


def test_events_from_before_the_stop_reach_a_reading_client(pipeline: PipelineStatus) -> None:
    with serving(pipeline) as server, WebSocketSession(server.socket_port) as client:
        for number in range(500):
            pipeline.update(own={"number": number})
        server.stop()
        followed = StateClient()
        end: list[int | str | None] = []
        while True:
            try:
                packet = client.receive()
            except ClientClosedError as closed:
                end.append(closed.code)
                break
            if packet == "1":
                end.append("goodbye")
                continue
            _, name, payload = parse(packet)
            followed.follow(name, payload)
        assert followed.state is not None
        assert without_volatile(followed.state) == without_volatile(pipeline.get())
        assert end == ["goodbye", 1000]


def test_health_answers_while_a_burst_goes_out(pipeline: PipelineStatus) -> None:
    with serving(pipeline) as server, WebSocketSession(server.socket_port) as client:
        threads = hammer(pipeline, 2, 300)
        while any(thread.is_alive() for thread in threads):
            assert json.loads(request(server.socket_port, "/health")[2])["status"] == "ok"
        client.follow(pipeline)
