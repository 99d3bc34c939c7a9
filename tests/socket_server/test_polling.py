"""Polls that overlap, break or repeat: the client receives every taken packet, or its session ends."""

from __future__ import annotations

import http.client
import json
import random
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from rag_pipeline.service import StatusServer
from rag_pipeline.socket_server.eventlet_driver import http as driver_http
from rag_pipeline.status.pipeline import PipelineStatus
from tests.socket_server.support import (
    HOST,
    WEBSOCKET_PATH,
    ClientClosedError,
    PollingSession,
    RawWebSocket,
    clients,
    exchange,
    new_pipeline,
    parse,
    request,
    reset,
    serving,
    wait_until,
    wait_until_live,
)


@pytest.fixture
def pipeline() -> PipelineStatus:
    return new_pipeline()


@pytest.fixture(params=[True, False], ids=["direct", "library"])
def server(request: pytest.FixtureRequest, pipeline: PipelineStatus) -> Iterator[StatusServer]:
    with serving(pipeline, direct=request.param) as running:
        yield running


class Raw:
    """One poll of a session on a new connection."""

    def __init__(self, session: PollingSession, more: str = "", *, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(20)
        self.socket.connect((HOST, session.port))
        self.socket.sendall(f"GET {session.path}{more} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    def answer(self) -> tuple[int, str]:
        with self.socket:
            answer = http.client.HTTPResponse(self.socket)
            answer.begin()
            return answer.status, answer.read().decode()

    def close(self) -> None:
        self.socket.close()

    def half_close(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        reset(self.socket)


ENDS: dict[str, Callable[[Raw], None]] = {"closed": Raw.close, "half-closed": Raw.half_close, "reset": Raw.reset}


@pytest.fixture
def session(server: StatusServer, pipeline: PipelineStatus) -> Iterator[PollingSession]:
    """Return a session that has its snapshot, so that the next poll waits."""
    with PollingSession(server.socket_port) as made:
        while not made.receive().startswith("42"):
            pass
        assert made.received == []
        yield made


def is_over(session: PollingSession) -> bool:
    status, _, body = request(session.port, session.path)
    return status == 400 and json.loads(body)["code"] == 1


def poll_under_way(server: StatusServer, session: PollingSession, more: str = "") -> Raw:
    """Send a poll that waits. The server has read it, because it answers later requests."""
    poll = Raw(session, more)
    for _ in range(3):
        clients(server)
    return poll


def test_a_second_poll_ends_the_session_and_takes_no_packet(
    server: StatusServer, session: PollingSession, pipeline: PipelineStatus
) -> None:
    first = poll_under_way(server, session)
    status, answer = Raw(session).answer()
    assert status == 400
    assert json.loads(answer)["code"] == 3
    assert first.answer() == (200, "1"), "the end alone"
    assert is_over(session)
    wait_until(lambda: clients(server)["total"] == 0)
    pipeline.update(status="no one listens")


@pytest.mark.slow
@pytest.mark.parametrize("end", ENDS)
def test_a_poll_whose_peer_leaves_ends_the_session_at_once(
    server: StatusServer, session: PollingSession, pipeline: PipelineStatus, end: str
) -> None:
    poll = poll_under_way(server, session)
    ENDS[end](poll)
    wait_until(lambda: clients(server)["total"] == 0)
    assert is_over(session)
    poll.close()


@pytest.mark.parametrize("end", ENDS)
def test_an_event_while_the_peer_leaves_is_not_lost_silently(
    server: StatusServer, session: PollingSession, pipeline: PipelineStatus, end: str
) -> None:
    poll = poll_under_way(server, session)
    threading.Thread(target=pipeline.update, kwargs={"status": "now"}).start()
    ENDS[end](poll)
    pipeline.update(status="then")
    if end == "half-closed":
        poll.close()
    wait_until(lambda: is_over(session) or clients(server)["total"] == 0)


def test_an_unread_answer_ends_the_session_at_the_next_poll(
    server: StatusServer, session: PollingSession, pipeline: PipelineStatus
) -> None:
    poll = poll_under_way(server, session)
    pipeline.update(status="sent, and never read")
    assert poll.socket.recv(1, socket.MSG_PEEK) == b"H"
    poll.reset()
    wait_until(lambda: request(session.port, session.path)[0] == 400)
    assert is_over(session)


def pile_up(server: StatusServer, session: PollingSession, pipeline: PipelineStatus) -> None:
    """Let more wait for the next poll than a connection takes at once."""
    session.receive_event()
    wait_until_live(server, 1)
    for number in range(16):
        pipeline.update(own={"big": str(number % 10) * 250_000})
    wait_until(lambda: [s.outlet.backlog_bytes > 3_900_000 for s in server._sockets.hub.subscribers()] == [True])


def test_a_peer_that_leaves_in_the_middle_of_an_answer_ends_the_session(pipeline: PipelineStatus) -> None:
    with serving(pipeline, backlog_limit_bytes=1 << 26) as server, PollingSession(server.socket_port) as session:
        pile_up(server, session, pipeline)
        poll = Raw(session, receive_buffer=4096)
        assert poll.socket.recv(100)
        poll.reset()
        wait_until(lambda: clients(server)["total"] == 0)
        assert is_over(session)


def test_a_poll_during_the_answer_of_another_ends_the_session(pipeline: PipelineStatus) -> None:
    with serving(pipeline, backlog_limit_bytes=1 << 26) as server, PollingSession(server.socket_port) as session:
        pile_up(server, session, pipeline)
        slow = Raw(session, receive_buffer=4096)
        assert slow.socket.recv(100)
        assert Raw(session).answer()[0] == 400
        assert is_over(session)
        slow.close()


@pytest.mark.slow
def test_a_peer_that_does_not_read_its_answer_ends_its_session(
    pipeline: PipelineStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver_http, "REQUEST_TIMEOUT_SECONDS", 1)
    with serving(pipeline, backlog_limit_bytes=1 << 26) as server, PollingSession(server.socket_port) as session:
        pile_up(server, session, pipeline)
        slow = Raw(session, receive_buffer=4096)
        wait_until(lambda: clients(server)["total"] == 0)
        assert is_over(session)
        slow.close()


def test_an_answered_poll_that_comes_again_ends_the_session(
    server: StatusServer, session: PollingSession, pipeline: PipelineStatus
) -> None:
    """A proxy reads every answer, also one that it can't forward."""
    for number in range(3):
        pipeline.update(own={"step": number})
        assert Raw(session, f"&t={number}").answer()[0] == 200
    pipeline.update(own={"step": "again"})
    assert Raw(session, "&t=2").answer()[0] == 400
    assert is_over(session)


def test_a_client_that_always_sends_the_same_t_is_served(
    server: StatusServer, session: PollingSession, pipeline: PipelineStatus
) -> None:
    for number in range(5):
        pipeline.update(own={"step": number})
        status, answer = Raw(session, "&t=same").answer()
        assert status == 200
        assert f'"step":{number}' in answer


def test_pipelined_polls_are_answered_in_turn(
    server: StatusServer, session: PollingSession, pipeline: PipelineStatus
) -> None:
    with socket.create_connection((HOST, session.port), timeout=20) as connection:
        connection.sendall(2 * f"GET {session.path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        for number in range(2):
            pipeline.update(own={"step": number})
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            assert answer.status == 200
            assert f'"step":{number}' in answer.read().decode()


def test_a_head_request_takes_no_packet(
    server: StatusServer, session: PollingSession, pipeline: PipelineStatus
) -> None:
    pipeline.update(own={"step": "for the poll"})
    assert request(session.port, session.path, "HEAD")[0] == 405
    assert session.receive_event()[2]["step"] == "for the poll"


def test_polls_during_an_upgrade_are_answered_with_noop(
    server: StatusServer, session: PollingSession, pipeline: PipelineStatus
) -> None:
    if not server._sockets._direct:
        pytest.skip("the library's own upgrade has its own order")
    first = poll_under_way(server, session)
    with RawWebSocket(session.port, path=f"{WEBSOCKET_PATH}&sid={session.open['sid']}") as websocket:
        websocket.send("2probe")
        assert websocket.receive() == "3probe"
        assert first.answer() == (200, "6")
        both = [Raw(session), Raw(session)]
        assert [poll.answer() for poll in both] == [(200, "6")] * 2
        pipeline.update(own={"step": "held back"})
        websocket.send("5")
        assert parse(websocket.receive())[2]["step"] == "held back"


class Recovering:
    """A polling client that resumes by its offset, and whose connections break at random."""

    def __init__(self, server: StatusServer, chance: random.Random, *, tokens: bool) -> None:
        self._server = server
        self._chance = chance
        self._tokens = tokens
        # The server can't see whether a half-closed peer has read its answer.
        self._ends = [Raw.close, Raw.reset] + ([Raw.half_close] if tokens else [])
        self._offset: str | None = None
        self.seen: list[int] = []
        self.cuts = 0

    def follow(self, until: Callable[[], int]) -> None:
        while not self.seen or self.seen[-1] < until():
            auth = {} if self._offset is None else {"offset": self._offset}
            try:
                with PollingSession(self._server.socket_port, namespace=None) as session:
                    session.send("40/pipeline," + json.dumps(auth))
                    self._poll_until_it_ends(session, until)
            except (ClientClosedError, OSError, http.client.HTTPException):
                continue

    def _poll_until_it_ends(self, session: PollingSession, until: Callable[[], int]) -> None:
        polls = 0
        while not self.seen or self.seen[-1] < until():
            polls += 1
            token = f"&t={polls}" if self._tokens else ""
            if polls > 2 and self._chance.random() < 0.3:
                self._cut(Raw(session, token))  # and repeated, as browsers do by themselves
            status, answer = Raw(session, token).answer()
            if status != 200:
                return
            for packet in answer.split("\x1e"):
                if packet == "2":
                    session.send("3")
                elif packet.startswith("42"):
                    self._note(packet)

    def _cut(self, poll: Raw) -> None:
        self.cuts += 1
        threading.Event().wait(self._chance.random() / 50)
        self._chance.choice(self._ends)(poll)
        poll.close()

    def _note(self, packet: str) -> None:
        _, name, payload = parse(packet)
        self._offset = payload["offset"]
        if payload["seq"] > (self.seen[-1] if self.seen else -1):
            self.seen.append(payload["seq"])
        else:
            assert name == "pipeline:status", f"{payload['seq']} came twice"


def work_slowly(pipeline: PipelineStatus) -> None:
    pause = threading.Event()
    for number in range(400):
        pipeline.add_processing_file(f"file-{number}", str(number))
        pause.wait(0.005)


@pytest.mark.slow
@pytest.mark.parametrize("tokens", [True, False])
def test_a_client_whose_polls_break_and_repeat_sees_each_event_once(pipeline: PipelineStatus, tokens: bool) -> None:
    with serving(pipeline) as server:
        client = Recovering(server, random.Random(1), tokens=tokens)
        work = threading.Thread(target=work_slowly, args=(pipeline,))
        work.start()
        client.follow(lambda: 1 << 60 if work.is_alive() else int(pipeline.get()["seq"]))
        work.join()
    assert client.seen == list(range(client.seen[0], int(pipeline.get()["seq"]) + 1))
    assert client.cuts > 5


def test_a_half_closed_request_that_is_not_a_poll_is_answered(server: StatusServer) -> None:
    answer = exchange(
        server.socket_port, b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: localhost\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 200 ")
