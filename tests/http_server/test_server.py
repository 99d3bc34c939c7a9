"""Start, stop and many clients at once."""

from __future__ import annotations

import contextlib
import http.client
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice
from pathlib import Path
from subprocess import PIPE

import pytest

from rag_pipeline.errors import PortInUseError, ServiceError
from rag_pipeline.http_server import server as server_module
from rag_pipeline.http_server import workers
from rag_pipeline.http_server.limits import Limits
from rag_pipeline.http_server.messages import HttpRequest, HttpResponse
from rag_pipeline.http_server.server import HttpServer
from tests.http_server.support import connect, exchange, get, receive_all, serving, split, wait_until

LAST = b"GET /status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
PLAIN = b"GET /status HTTP/1.1\r\nHost: a\r\n\r\n"
OK = HttpResponse(200, {"Content-Length": "2"}, b"ok")


def native_threads() -> int:
    return len(os.listdir("/proc/self/task"))  # noqa: PTH208


def test_200_requests_at_once_use_a_bounded_number_of_threads() -> None:
    before = native_threads()
    with serving(limits=Limits(threads=16)) as server, ThreadPoolExecutor(200) as clients:
        most = 0
        answers = [clients.submit(get, server) for _ in range(200)]
        while not all(answer.done() for answer in answers):
            most = max(most, native_threads())
        assert all(answer.result().startswith(b"HTTP/1.1 200 OK") for answer in answers)
        assert most <= before + 200 + 16 + 1


PATIENT = Limits(threads=1, idle_seconds=600, request_seconds=600, write_seconds=600, linger_seconds=600)
HALF_A_BODY = b"POST /status HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nhalf"


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"GET /st", PLAIN[:-2], PLAIN, HALF_A_BODY])
def test_a_waiting_client_costs_no_thread(sent: bytes) -> None:
    with serving(limits=PATIENT) as server, contextlib.ExitStack() as crowd:
        get(server)  # starts the only worker
        before = native_threads()
        for _ in range(100):
            crowd.enter_context(connect(server)).sendall(sent)
        assert get(server).startswith(b"HTTP/1.1 200 OK")
        assert native_threads() <= before


def test_a_client_that_does_not_read_its_response_costs_no_thread() -> None:
    big = HttpResponse(200, {"Content-Length": str(8 << 20)}, b"x" * (8 << 20))

    def respond(request: HttpRequest) -> HttpResponse:
        return big if request.target == "/big" else OK

    with serving(respond, limits=PATIENT) as server, contextlib.ExitStack() as crowd:
        for _ in range(5):
            crowd.enter_context(connect(server)).sendall(PLAIN.replace(b"/status", b"/big"))
        assert get(server).endswith(b"ok")


def test_unread_responses_are_bounded_and_the_largest_is_dropped_first() -> None:
    big = HttpResponse(200, {"Content-Length": str(16 << 20)}, b"x" * (16 << 20))
    limits = Limits(write_seconds=600, unread_bytes=40 << 20)
    with serving(lambda _: big, limits=limits) as server, contextlib.ExitStack() as crowd:
        clients = [crowd.enter_context(connect(server)) for _ in range(6)]
        for client in clients:
            client.sendall(PLAIN)
        wait_until(lambda: len(server._open) < 6)
        assert server._unread_bytes <= limits.unread_bytes


def test_over_the_limit_the_longest_waiting_clients_are_closed() -> None:
    with serving(limits=Limits(waiting=16, idle_seconds=600)) as server, contextlib.ExitStack() as crowd:
        clients = [crowd.enter_context(connect(server)) for _ in range(200)]
        assert get(server).startswith(b"HTTP/1.1 200 OK")
        assert len(server._open) <= 16
        assert clients[0].recv(1) == b""
        clients[-1].sendall(LAST)
        assert receive_all(clients[-1]).startswith(b"HTTP/1.1 200 OK")


def test_a_trickling_client_keeps_its_age() -> None:
    with serving(limits=Limits(waiting=16, request_seconds=600)) as server, contextlib.ExitStack() as crowd:
        trickling = crowd.enter_context(connect(server))
        for byte in b"GET /status":
            trickling.send(bytes([byte]))
        for _ in range(30):
            crowd.enter_context(connect(server))
        assert get(server).startswith(b"HTTP/1.1 200 OK")
        assert receive_all(trickling) == b""


def test_queued_requests_are_bounded() -> None:
    release = threading.Event()

    def respond(_: HttpRequest) -> HttpResponse:
        release.wait(60)
        return OK

    with serving(respond, limits=Limits(threads=1, queued=2)) as server, ThreadPoolExecutor(8) as clients:
        answers = [clients.submit(exchange, server, LAST) for _ in range(8)]
        refused = [answer.result() for answer in islice(as_completed(answers, timeout=60), 5)]
        release.set()
        assert all(answer.startswith(b"HTTP/1.1 503 ") for answer in refused)
        assert sum(answer.result().startswith(b"HTTP/1.1 200 ") for answer in answers) == 3


def test_a_process_that_runs_out_of_descriptors_serves_the_next_client() -> None:
    """The next client is this process, so that it does not compete with the server for the last descriptor."""
    code = """
import resource, sys
from tests.http_server.support import connect, get, serving
with serving() as server:
    get(server)  # opens the files of this test's own checks
    crowd = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))
    try:
        while True:
            crowd.append(connect(server))
    except OSError:
        crowd.pop()  # without a free descriptor the server can't tell anyone
    print(server.port, flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=PIPE, stdout=PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        port = int(process.stdout.readline())
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/status")
        assert connection.getresponse().status == 200
        connection.close()
        process.stdin.close()
        assert process.wait(60) == 0


@pytest.mark.slow
def test_a_client_too_many_gets_503() -> None:
    asked, release = threading.Event(), threading.Event()

    def respond(_: HttpRequest) -> HttpResponse:
        asked.set()
        release.wait(60)
        return OK

    with serving(respond, limits=Limits(threads=1)) as server, connect(server) as first:
        first.sendall(PLAIN)
        assert asked.wait(60)
        ((status, _, body),) = split(exchange(server, PLAIN))
        release.set()
        assert (status, body) == (503, b'{"error":"too many clients at once; try again in a second"}\n')
        assert first.recv(65536).startswith(b"HTTP/1.1 200 OK")


def compute(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


@pytest.mark.slow
def test_masses_of_requests_are_computed_two_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each thread that computes makes the pipeline's threads wait."""
    monkeypatch.setattr(workers, "COMPUTES_SECONDS", 60.0)
    at_once: set[int] = set()
    most: list[int] = []

    def respond(_: HttpRequest) -> HttpResponse:
        at_once.add(threading.get_ident())
        most.append(len(at_once))
        compute(0.01)
        at_once.discard(threading.get_ident())
        return OK

    with serving(respond) as server, ThreadPoolExecutor(24) as clients:
        assert all(clients.map(lambda _: get(server).startswith(b"HTTP/1.1 200 OK"), range(48)))
    assert max(most) <= 2


def test_responses_take_no_more_than_their_share_of_a_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "QUEUED_SECONDS", 0.2)

    def respond(_: HttpRequest) -> HttpResponse:
        compute(0.05)
        return OK

    with serving(respond, limits=Limits(cpu_share=0.0, cpu_burst_seconds=0.01)) as server:
        assert [get(server)[:12] for _ in range(2)] == [b"HTTP/1.1 200", b"HTTP/1.1 503"]


def test_stop_is_quick_with_stalled_clients_and_frees_the_port() -> None:
    threads = native_threads()
    patient = Limits(request_seconds=600, idle_seconds=600, write_seconds=600, linger_seconds=600)
    with serving(limits=patient) as server, contextlib.ExitStack() as clients:
        for sent in (b"", b"GET", PLAIN) * 5:
            clients.enter_context(connect(server)).sendall(sent)
        running = [server.running]
        started = time.monotonic()
        server.stop()
        assert time.monotonic() - started < 60, "stop waits for no client"
        running.append(server.running)
        assert running == [True, False]
        with HttpServer("127.0.0.1", server.port) as again:
            again.start(lambda _: OK)
            assert get(again).endswith(b"ok")
        server.stop()
    wait_until(lambda: native_threads() <= threads)


@pytest.mark.slow
def test_stop_lets_a_response_in_progress_finish() -> None:
    asked = threading.Event()

    def respond(_: HttpRequest) -> HttpResponse:
        asked.set()
        time.sleep(0.1)
        return OK

    with serving(respond) as server, connect(server) as client:
        client.sendall(PLAIN)
        assert asked.wait(20)
        server.stop()
        assert client.recv(65536).endswith(b"ok")


@pytest.mark.slow
def test_stop_does_not_wait_for_a_response_that_never_comes() -> None:
    asked, release = threading.Event(), threading.Event()

    def respond(_: HttpRequest) -> HttpResponse:
        asked.set()
        release.wait(600)
        return OK

    with serving(respond) as server, connect(server) as client:
        client.sendall(PLAIN)
        assert asked.wait(60)
        started = time.monotonic()
        server.stop()
        assert time.monotonic() - started < 60, "stop does not wait for the response"
        release.set()


def test_a_server_that_was_not_started_can_be_stopped() -> None:
    server = HttpServer("127.0.0.1", 0)
    server.stop()
    with pytest.raises(ServiceError):
        server.start(lambda _: OK)
    HttpServer("127.0.0.1", server.port).stop()


def test_a_second_server_on_the_port_is_an_error() -> None:
    with serving() as server:
        with pytest.raises(PortInUseError, match=str(server.port)):
            HttpServer("127.0.0.1", server.port)
        assert get(server).startswith(b"HTTP/1.1 200 OK")


def test_ipv6_works() -> None:
    try:
        server = HttpServer("::1", 0)
    except ValueError:
        pytest.skip("this machine has no IPv6 loopback")
    with server:
        server.start(lambda _: OK)
        assert get(server).endswith(b"ok")


HOST_PROGRAM = """
import warnings; warnings.simplefilter("ignore")
import sys, eventlet
if sys.argv[1] == "before": eventlet.monkey_patch()
from tests.http_server.support import serving
if sys.argv[1] == "after": eventlet.monkey_patch()
import subprocess
CLIENT = '''
import sys, urllib.request
for _ in range(10):
    print(urllib.request.urlopen("http://127.0.0.1:" + sys.argv[1] + "/status", timeout=20).status)
    request = urllib.request.Request(
        "http://127.0.0.1:" + sys.argv[1] + "/events", headers={"Accept": "text/event-stream"})
    with urllib.request.urlopen(request, timeout=20) as stream:
        print(stream.status)
'''
import socket
with serving() as server:
    # The host never yields to its eventlet hub meanwhile: only native threads respond.
    found = eventlet.patcher.original("subprocess").run(
        [sys.executable, "-c", CLIENT, str(server.port)], capture_output=True, text=True, timeout=60)
    assert found.stdout.split() == ["200"] * 20, found
    idle = socket.create_connection(("127.0.0.1", server.port))
print("stopped")
"""


@pytest.mark.slow
@pytest.mark.parametrize("patched", ["before", "after", "not at all"])
def test_it_serves_in_a_host_program_that_is_monkey_patched(patched: str) -> None:
    command = [sys.executable, "-c", HOST_PROGRAM, patched]
    root = Path(__file__).parents[2]
    found = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120, check=False)
    assert found.stdout == "stopped\n", found.stderr
