"""Streams over real sockets: their events, their end and their limits."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator

import pytest

from rag_pipeline.broadcast.follower import FollowerClosedError
from rag_pipeline.http_server.content import Stream
from rag_pipeline.http_server.limits import Limits
from rag_pipeline.http_server.server import HttpServer
from rag_pipeline.http_server.sse import SseStream
from rag_pipeline.http_server.streaming import OpenStreams
from tests.http_server.support import (
    DEADLINE_SECONDS,
    STREAM_REQUEST,
    StreamClient,
    StubFollower,
    StubView,
    connect,
    get,
    item,
    parse_stream,
    receive_all,
    serving,
    split,
    wait_until,
)

START = b"retry: 2000\n"
QUICK = Limits(write_seconds=0.3, linger_seconds=0.1)
MEGABYTE = "x" * (1 << 20)


@pytest.fixture
def view() -> StubView:
    return StubView()


@pytest.fixture
def server(view: StubView) -> Iterator[HttpServer]:
    with serving(view=view) as running:
        yield running


def follower_of(view: StubView, number: int = 0) -> StubFollower:
    """Return the follower of a stream, once the server has opened it."""
    wait_until(lambda: len(view.followers) > number)
    return view.followers[number]


def unread_by(client: socket.socket, buffer_bytes: int = 4096) -> socket.socket:
    """Return the socket with a small receive buffer; call it before connecting."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
    client.settimeout(DEADLINE_SECONDS)
    return client


def test_events_arrive_as_they_happen(server: HttpServer, view: StubView) -> None:
    view.greeting = [item(1, "pipeline:status")]
    with StreamClient(server) as client:
        first = client.block()
        assert first.startswith(START)
        assert parse_stream(first) == [item(1, "pipeline:status")]
        for position in range(2, 6):
            follower_of(view).publish(item(position, text="Größe"))
            assert client.event() == item(position, text="Größe")


def test_a_stream_of_http_1_1_is_these_bytes(server: HttpServer, view: StubView) -> None:
    with connect(server) as client:
        client.sendall(STREAM_REQUEST)
        follower_of(view).publish(item(1))
        follower_of(view).end()
        head, _, body = receive_all(client).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines.pop(1).startswith("Date: ")
    assert lines == [
        "HTTP/1.1 200 OK",
        "Server: rag-pipeline",
        "Connection: close",
        "Content-Type: text/event-stream",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        "X-Accel-Buffering: no",
        "Vary: Origin",
        "Transfer-Encoding: chunked",
    ]
    event = START + f"id: {item(1).offset}\nevent: pipeline:file_completed\ndata: {item(1).text}\n\n".encode()
    assert body == f"{len(event):x}".encode() + b"\r\n" + event + b"\r\n0\r\n\r\n"


def test_a_stream_of_http_1_0_ends_with_the_connection(server: HttpServer, view: StubView) -> None:
    with connect(server) as client:
        client.sendall(b"GET /events HTTP/1.0\r\nConnection: keep-alive\r\nAccept: text/event-stream\r\n\r\n")
        follower_of(view).publish(item(1))
        follower_of(view).end()
        head, _, body = receive_all(client).partition(b"\r\n\r\n")
    assert b"Transfer-Encoding" not in head
    assert b"Connection: close" in head
    assert body.startswith(START)
    assert parse_stream(body) == [item(1)]


def test_the_last_event_id_of_a_reconnecting_client_wins(server: HttpServer, view: StubView) -> None:
    with StreamClient(server, "/events?namespace=/local_files&since=0123abcd-1", Last_Event_ID="0123abcd-2"):
        assert view.calls == [("follow", "/local_files", "0123abcd-2")]


def test_head_responds_at_once_and_follows_nothing(server: HttpServer, view: StubView) -> None:
    found = get(server, "/events", "HEAD", Accept="text/event-stream")
    assert found.startswith(b"HTTP/1.1 200 OK\r\n")
    assert found.endswith(b"\r\n\r\n")
    assert b"Content-Type: text/event-stream\r\n" in found
    assert b"Content-Length" not in found
    assert view.followers == []


def test_a_long_replay_is_complete(server: HttpServer, view: StubView) -> None:
    sent = [item(position, text=MEGABYTE) for position in range(1, 9)]
    view.greeting = sent
    with StreamClient(server) as client:
        assert [client.event() for _ in sent] == sent


def test_a_quiet_stream_sends_keep_alives(view: StubView) -> None:
    with serving(view=view, limits=Limits(keep_alive_seconds=0.05)) as server, StreamClient(server) as client:
        assert [client.response.readline() for _ in range(3)] == [b": keep-alive\n"] * 3
        follower_of(view).publish(item(1))
        assert client.event() == item(1)


def test_bytes_from_the_client_are_ignored(server: HttpServer, view: StubView) -> None:
    with connect(server) as client:
        client.sendall(STREAM_REQUEST.replace(b"1.1", b"1.0") + b"GET /status HTTP/1.1\r\nHost: a\r\n\r\n" * 1000)
        follower_of(view).publish(item(1))
        follower_of(view).end()
        _, _, body = receive_all(client).partition(b"\r\n\r\n")
    assert parse_stream(body) == [item(1)]


@pytest.mark.slow
def test_curl_follows_a_stream(server: HttpServer, view: StubView) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    command = [curl, "-sN", "-H", "Accept: text/event-stream", f"http://127.0.0.1:{server.port}/events"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        try:
            follower_of(view).publish(item(1))
            found = b"".join(program.stdout.readline() for _ in range(5))
        finally:
            program.kill()
    assert parse_stream(found) == [item(1)]
    wait_until(lambda: follower_of(view).closed)


# -- the end -----------------------------------------------------------------------------------------------------------


def test_a_stream_ended_by_the_service_ends_orderly(server: HttpServer, view: StubView) -> None:
    with StreamClient(server) as client:
        follower_of(view).end()
        assert client.response.read() == b""  # a cut would raise IncompleteRead
    wait_until(lambda: follower_of(view).closed)


@pytest.mark.slow
def test_a_client_that_closes_frees_its_thread(server: HttpServer, view: StubView) -> None:
    with StreamClient(server):
        follower_of(view)
    wait_until(lambda: follower_of(view).closed and not server._open)


@pytest.mark.slow
def test_a_client_that_resets_frees_its_thread(server: HttpServer, view: StubView) -> None:
    with connect(server) as client:
        client.sendall(STREAM_REQUEST)
        follower_of(view)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_until(lambda: follower_of(view).closed and not server._open)


def test_a_client_that_shuts_down_writing_gets_the_end(server: HttpServer, view: StubView) -> None:
    with connect(server) as client:
        client.sendall(STREAM_REQUEST)
        client.shutdown(socket.SHUT_WR)
        assert receive_all(client).endswith(b"\r\n\r\n0\r\n\r\n")
    wait_until(lambda: follower_of(view).closed)


@pytest.mark.slow
def test_a_client_that_does_not_read_is_cut(view: StubView) -> None:
    view.greeting = [item(position, text=MEGABYTE) for position in range(1, 21)]
    with serving(view=view, limits=QUICK) as server, unread_by(socket.socket()) as client:
        client.connect((server.host, server.port))
        client.sendall(STREAM_REQUEST)
        wait_until(lambda: follower_of(view).closed and not server._open)
        assert len(receive_all(client)) < 20 << 20


@pytest.mark.slow
def test_a_client_that_reads_slowly_is_not_cut(view: StubView) -> None:
    sent = item(1, text=MEGABYTE * 12)
    view.greeting = [sent]
    received = b""
    with (
        serving(view=view, limits=Limits(write_seconds=3)) as server,
        unread_by(socket.socket(), 64 * 1024) as client,
    ):
        client.connect((server.host, server.port))
        client.sendall(STREAM_REQUEST.replace(b"1.1", b"1.0"))
        while not received.endswith(f'"offset": "{sent.offset}"}}\n\n'.encode()):
            chunk = client.recv(32 * 1024)
            assert chunk, "it was cut"
            received += chunk
            time.sleep(0.01)  # the whole takes longer than one piece may
    assert parse_stream(received.partition(b"\r\n\r\n")[2]) == [sent]


def test_a_failing_follower_cuts_its_stream(
    server: HttpServer, view: StubView, caplog: pytest.LogCaptureFixture
) -> None:
    with StreamClient(server) as client:
        follower_of(view).fail(RuntimeError("broken"))
        with pytest.raises(http.client.IncompleteRead):
            client.response.read()
    wait_until(lambda: follower_of(view).closed)
    assert "broken" in caplog.text


def test_stopping_ends_every_stream_orderly(server: HttpServer, view: StubView) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(StreamClient(server)) for _ in range(8)]
        follower_of(view, 7)
        server.stop()
        assert [client.response.read() for client in clients] == [b""] * 8
        wait_until(lambda: all(follower.closed for follower in view.followers) and not server._open)


@pytest.mark.slow
def test_stopping_cuts_a_stream_that_no_one_reads(view: StubView) -> None:
    view.greeting = [item(position, text=MEGABYTE) for position in range(1, 21)]
    with (
        serving(view=view, limits=Limits(write_seconds=300)) as server,
        unread_by(socket.socket()) as client,
    ):
        client.connect((server.host, server.port))
        client.sendall(STREAM_REQUEST)
        assert client.recv(1) == b"H"
        server.stop()
        wait_until(lambda: follower_of(view).closed and not server._open)


# -- limits ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_one_stream_too_many_is_503_and_other_clients_are_served(view: StubView) -> None:
    with serving(view=view, limits=Limits(streams=32)) as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(StreamClient(server)) for _ in range(32)]
        refused = get(server, "/events", Accept="text/event-stream", Origin="http://localhost:3000")
        ((status, headers, body),) = split(refused)
        assert (status, headers["retry-after"]) == (503, "5")
        assert headers["access-control-allow-origin"] == "http://localhost:3000"
        assert json.loads(body) == {"error": "too many event streams; try again in 5 seconds"}
        assert get(server).startswith(b"HTTP/1.1 200 OK")
        assert len(view.followers) == 32
        clients[0].close()
        wait_until(lambda: view.followers[0].closed)
        wait_until(lambda: b" 200 OK" in first_line(server))


def first_line(server: HttpServer) -> bytes:
    with connect(server) as client:
        client.sendall(STREAM_REQUEST)
        return client.recv(65536).partition(b"\r\n")[0]


def test_a_refused_stream_leaves_the_connection_to_the_next_request() -> None:
    with serving(limits=Limits(streams=0)) as server, connect(server) as client:
        client.sendall(STREAM_REQUEST + b"GET /status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert [status for status, _, _ in split(receive_all(client))] == [503, 200]


def test_new_streams_are_not_ended_by_a_crowd(view: StubView) -> None:
    with (
        serving(view=view, limits=Limits(threads=4, streams=2, idle_seconds=300)) as server,
        StreamClient(server) as first,
        StreamClient(server) as second,
        contextlib.ExitStack() as crowd,
    ):
        for _ in range(6):  # each waits until an earlier one was ended
            crowd.enter_context(connect(server)).sendall(b"GET /st")
        assert get(server).startswith(b"HTTP/1.1 200 OK")
        follower_of(view, 1)
        for follower in view.followers:
            follower.publish(item(1))
        assert [client.event() for client in (first, second)] == [item(1)] * 2


def test_a_stream_over_the_limit_replaces_the_oldest_after_its_minimum_time(
    view: StubView, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        serving(view=view, limits=Limits(streams=2)) as server,
        StreamClient(server) as first,
        StreamClient(server) as second,
    ):
        wait_until(lambda: len(view.followers) == 2)
        assert first_line(server) == b"HTTP/1.1 503 Service Unavailable"
        monkeypatch.setattr(server._streams, "_min_open_seconds", 0.0)
        with StreamClient(server) as third:
            wait_until(lambda: len(view.followers) == 3)
            monkeypatch.setattr(server._streams, "_min_open_seconds", 60.0)
            ended = [follower for follower in view.followers if follower.closed]
            assert ended == [view.followers[0]]
            for follower in view.followers[1:]:
                follower.publish(item(1))
            assert [client.event() for client in (second, third)] == [item(1)] * 2
            assert first.response.read() == b""  # ended orderly, not cut


@pytest.mark.slow
def test_streams_leave_all_workers_to_other_requests(view: StubView) -> None:
    with (
        serving(view=view, limits=Limits(threads=2, streams=40)) as server,
        contextlib.ExitStack() as stack,
    ):
        clients = [stack.enter_context(StreamClient(server)) for _ in range(40)]
        for _ in range(5):
            assert get(server).startswith(b"HTTP/1.1 200 OK")
        assert first_line(server) == b"HTTP/1.1 503 Service Unavailable"
        wait_until(lambda: len(view.followers) == len(clients))  # in any order: several threads open them
        for follower in view.followers:
            follower.publish(item(1))
        assert [client.event() for client in clients] == [item(1)] * len(clients)
    with serving(view=view, limits=Limits(threads=1, streams=1)) as server:
        for _ in range(6):  # an ended stream frees one slot, not two
            with StreamClient(server):
                pass
            wait_until(lambda: not server._open)
        assert (server._pool._busy, server._pool._threads) == (0, 0)


@pytest.mark.parametrize(("error", "logged"), [(FollowerClosedError(), False), (RuntimeError("broken"), True)])
def test_a_stream_that_can_not_be_opened_is_503(
    server: HttpServer, view: StubView, error: Exception, logged: bool, caplog: pytest.LogCaptureFixture
) -> None:
    view.error = error
    ((status, _, _),) = split(get(server, "/events", Accept="text/event-stream"))
    assert status == 503
    assert ("broken" in caplog.text) == logged


def test_slots_are_freed_whatever_happens() -> None:
    streams = OpenStreams(1)

    def fail() -> Stream:
        raise FollowerClosedError

    class Stubborn(StubFollower):
        def close(self) -> None:
            raise RuntimeError("no")

    for _ in range(3):
        assert streams.open(fail) is None
        stream = streams.open(lambda: SseStream(Stubborn()))
        assert stream is not None
        assert streams.open(lambda: SseStream(StubFollower())) is None
        with pytest.raises(RuntimeError):
            streams.close(stream)
