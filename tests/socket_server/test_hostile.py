"""Clients that mean harm: they are bounded, and nobody else notices them."""

from __future__ import annotations

import json
import resource
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from rag_pipeline.service import StatusServer
from rag_pipeline.socket_server import application as application_module
from rag_pipeline.socket_server import eventlet_driver
from rag_pipeline.socket_server.allowance import BURST
from rag_pipeline.socket_server.unjoined import MAX_SESSIONS
from rag_pipeline.status import PipelineStatus
from tests.socket_server.inside import application
from tests.socket_server.support import (
    HOST,
    PING,
    POLLING_PATH,
    TEXT,
    ClosedError,
    PollingSession,
    WebSocketSession,
    exchange,
    handshake_request,
    masked_frame,
    new_pipeline,
    request,
    serving,
    wait_until,
)
from tests.socket_server.test_head import AMBIGUOUS

PROGRAM = Path(__file__).with_name("limited_program.py")
CONTINUATION = 0x0
CLIENTS = 1100


@pytest.fixture
def pipeline() -> PipelineStatus:
    return new_pipeline()


@pytest.fixture
def server(pipeline: PipelineStatus) -> Iterator[StatusServer]:
    with serving(pipeline) as running:
        yield running


@pytest.fixture
def many_files() -> Iterator[None]:
    """Let this process open as many sockets as a test needs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4 * CLIENTS:
        pytest.skip("this machine allows too few open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4 * CLIENTS), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Limited:
    """A service in a process of its own, which may open few files."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        assert process.stdout is not None
        self.http_port, self.socket_port = json.loads(process.stdout.readline())

    def files(self) -> int:
        """Return how many of fifty files the pipeline could open."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@contextmanager
def limited(soft: int, hard: int) -> Iterator[Limited]:
    program = [sys.executable, str(PROGRAM), str(soft), str(hard)]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Limited(process)
        finally:
            process.kill()


def connect(stack: ExitStack, port: int, data: bytes = b"") -> socket.socket:
    made = stack.enter_context(socket.create_connection((HOST, port), timeout=60))
    if data:
        made.sendall(data)
    return made


# -- descriptors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [b"", b"GET / HTTP/1.1\r\nX: ", b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", handshake_request()],
    ids=["idle", "dripping", "kept alive", "unjoined"],
)
@pytest.mark.usefixtures("many_files")
def test_connections_never_take_the_pipelines_descriptors(data: bytes) -> None:
    with limited(1024, 1024) as service, ExitStack() as stack:
        for _ in range(CLIENTS):
            connect(stack, service.socket_port, data)
        assert service.files() == 50
        assert request(service.socket_port, "/health")[0] == 200
        assert service.files() == 50
        wait_until(lambda: request(service.http_port, "/health")[0] == 200)


@pytest.mark.usefixtures("many_files")
def test_websockets_that_join_leave_room_for_the_pipeline_and_for_requests() -> None:
    joining = handshake_request() + masked_frame(TEXT, b"40/pipeline,")
    with limited(1024, 1024) as service, ExitStack() as stack:
        for _ in range(CLIENTS):
            connect(stack, service.socket_port, joining)
        assert request(service.socket_port, "/health")[0] == 200
        assert service.files() == 50


@pytest.mark.usefixtures("many_files")
def test_a_websocket_that_joins_nothing_gives_its_place_up_within_half_a_second() -> None:
    """A herd takes each place as it becomes free: the more become free, the sooner a newcomer has one."""
    with limited(256, 256) as service, ExitStack() as stack:
        began = time.monotonic()
        herd = [connect(stack, service.socket_port, handshake_request()) for _ in range(140)]
        assert sum(one.recv(12) == b"HTTP/1.1 101" for one in herd) > 100
        select.select([], [], [], 0.5)
        with WebSocketSession(service.socket_port) as newcomer:
            assert newcomer.receive_event()[1] == "pipeline:status"
            assert time.monotonic() - began < 30


@pytest.mark.usefixtures("many_files")
def test_honest_clients_are_served_as_far_as_the_hard_limit_allows() -> None:
    with limited(256, 4096) as service, ExitStack() as stack:
        sessions = [stack.enter_context(WebSocketSession(service.socket_port)) for _ in range(CLIENTS)]
        for session in sessions:
            assert session.receive_event()[1] == "pipeline:status"
        assert service.files() == 50


@pytest.mark.parametrize("drip", [b"", b"G", b"\r"])
def test_the_first_request_has_a_deadline_as_a_whole(
    pipeline: PipelineStatus, monkeypatch: pytest.MonkeyPatch, drip: bytes
) -> None:
    assert 5 <= eventlet_driver.REQUEST_TIMEOUT_SECONDS <= 10
    monkeypatch.setattr(eventlet_driver, "REQUEST_TIMEOUT_SECONDS", 0.5)
    with serving(pipeline) as server, socket.create_connection((HOST, server.socket_port)) as client:
        deadline = time.monotonic() + 20
        while not select.select([client], [], [], 0.05)[0]:
            assert time.monotonic() < deadline
            if drip:
                try:
                    client.sendall(drip)
                except OSError:
                    break


# -- frames ------------------------------------------------------------------------------------------------------------

FLOODS = {
    "pings": masked_frame(PING, b"") * (2 * BURST),
    "pongs of Engine.IO": masked_frame(TEXT, b"3") * (2 * BURST),
    "empty fragments": masked_frame(TEXT, b"", fin=False) + masked_frame(CONTINUATION, b"", fin=False) * (2 * BURST),
    "refused CONNECTs": masked_frame(TEXT, b"40/nowhere,") * 20,
    "joins": (masked_frame(TEXT, b"40/local_files,") + masked_frame(TEXT, b"41/local_files,")) * 30,
    "events": masked_frame(TEXT, b'42/pipeline,["x"]') * (2 * BURST),
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_client_that_sends_too_much_is_closed_with_1008_and_others_stay(
    server: StatusServer, pipeline: PipelineStatus, name: str
) -> None:
    with WebSocketSession(server.socket_port) as other, WebSocketSession(server.socket_port) as rude:
        rude.receive()
        try:
            rude.socket.sendall(FLOODS[name])
        except ConnectionError:
            pass
        assert rude.wait_for_end() in (1008, None)  # what it had not read may be reset with the rest
        pipeline.update(status="running")
        other.follow(pipeline)


def test_the_close_frame_says_1008(server: StatusServer) -> None:
    with WebSocketSession(server.socket_port, namespace=None) as rude:
        codes = []
        try:
            for number in range(20):
                rude.send(f"40/no{number},")
                rude.receive()
        except ClosedError as closed:
            codes.append(closed.code)
        assert codes == [1008]


def test_polling_clients_may_send_no_more(server: StatusServer) -> None:
    body = "\x1e".join(["3"] * 16)
    with PollingSession(server.socket_port) as rude:
        statuses = [rude.try_post(body) for _ in range(BURST // 16 + 3)]
        assert statuses[0] == 200
        assert statuses[-1] == 400


@pytest.mark.parametrize("first", ["x", "", "2probe", '42["a"]', "41", "4{}", "5"])
def test_a_first_packet_that_is_not_socket_io_closes_at_once(server: StatusServer, first: str) -> None:
    with WebSocketSession(server.socket_port, namespace=None) as rude:
        rude.send(first)
        assert rude.wait_for_end() is None


def test_who_pipelines_requests_gets_one_answer_a_turn(server: StatusServer) -> None:
    """The loop turns to the others in between: a newcomer is answered long before the last of these."""
    many = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 4000
    with socket.create_connection((HOST, server.socket_port), timeout=60) as rude:
        rude.setblocking(False)
        rude.send(many)
        assert request(server.socket_port, "/health")[0] == 200
        received = rude.recv(1 << 22) if select.select([rude], [], [], 0)[0] else b""
        assert received.count(b"HTTP/1.1 200") < 4000


# -- requests ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_ambiguous_framing_is_one_refusal_and_never_two_requests(server: StatusServer, name: str) -> None:
    answer = exchange(server.socket_port, AMBIGUOUS[name] + b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.count(b"HTTP/1.1 ") == 1
    head = answer.partition(b"\r\n\r\n")[0].lower()
    assert head.startswith(b"http/1.1 400 ")
    for header in (b"connection: close", b"x-content-type-options: nosniff", b"cache-control: no-store"):
        assert header in head


@pytest.mark.parametrize("path", [POLLING_PATH, "/health", "/nothing", "/socket.io/?transport=x", "/socket.io/x.js"])
def test_no_answer_is_for_a_browser_to_guess_the_type_of(server: StatusServer, path: str) -> None:
    assert request(server.socket_port, path)[1]["x-content-type-options"] == "nosniff"


def test_jsonp_is_off(server: StatusServer) -> None:
    status, _, body = request(server.socket_port, f"{POLLING_PATH}&j=0")
    assert status == 400
    assert "JSONP" in body
    with PollingSession(server.socket_port, namespace=None) as session:
        assert session.try_post("d=40%2Fpipeline%2C") == 400


@pytest.mark.parametrize(("mode", "status"), [("no-cors", 400), ("navigate", 400), ("cors", 200), ("same-origin", 200)])
def test_a_page_can_open_no_session_by_a_script_an_image_or_a_frame(
    server: StatusServer, mode: str, status: int
) -> None:
    assert request(server.socket_port, POLLING_PATH, Sec_Fetch_Mode=mode)[0] == status


# -- sessions ----------------------------------------------------------------------------------------------------------


def test_sessions_that_join_nothing_are_bounded(server: StatusServer, pipeline: PipelineStatus) -> None:
    ask = f"GET {POLLING_PATH} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    for _ in range(24):
        assert exchange(server.socket_port, ask * 100).count(b"HTTP/1.1 ") == 100
    sessions = application(server)._sio.eio.sockets
    assert len(sessions) <= MAX_SESSIONS
    with WebSocketSession(server.socket_port) as client:
        client.follow(pipeline)


def test_sessions_that_join_by_polling_are_bounded_too(server: StatusServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application_module, "MAX_SESSIONS", 2)
    with PollingSession(server.socket_port), PollingSession(server.socket_port):
        status, headers, body = request(server.socket_port, POLLING_PATH)
        assert status == 503
        assert json.loads(body)["message"].startswith("Too many sessions")
        assert headers["x-content-type-options"] == "nosniff"
        with WebSocketSession(server.socket_port):
            pass
