"""Starting, stopping and many clients at once."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rag_pipeline.errors import PortInUseError, ServiceError
from rag_pipeline.http_server.answers import Answer, Request
from rag_pipeline.http_server.handler import Limits
from rag_pipeline.http_server.server import HttpServer
from tests.http_server.support import connect, exchange, get, serving, split, wait_until

PLAIN = b"GET /status HTTP/1.1\r\nHost: a\r\n\r\n"
OK = Answer(200, {"Content-Length": "2"}, b"ok")


def native_threads() -> int:
    return len(os.listdir("/proc/self/task"))  # noqa: PTH208


def test_200_requests_at_once_are_answered_by_a_bounded_number_of_threads() -> None:
    before = native_threads()
    with serving(limits=Limits(connections=16)) as server, ThreadPoolExecutor(200) as clients:
        most = 0
        answers = [clients.submit(get, server) for _ in range(200)]
        while not all(answer.done() for answer in answers):
            most = max(most, native_threads())
        assert all(answer.result().startswith(b"HTTP/1.1 200 OK") for answer in answers)
        assert most <= before + 200 + 16 + 1


def test_stalled_and_idle_clients_give_way() -> None:
    patient = Limits(connections=4, idle_seconds=300, request_seconds=300)
    with serving(limits=patient) as server, contextlib.ExitStack() as clients:
        for sent in (b"", b"GET /st", PLAIN, b"\r\n") * 3:
            client = clients.enter_context(connect(server))
            client.sendall(sent)
        assert get(server).startswith(b"HTTP/1.1 200 OK")


def test_a_client_too_many_gets_503() -> None:
    release = threading.Event()

    def respond(_: Request) -> Answer:
        release.wait(20)
        return OK

    with serving(respond, limits=Limits(connections=1)) as server, connect(server) as first:
        first.sendall(PLAIN)
        ((status, _, body),) = split(exchange(server, b""))
        release.set()
        assert (status, body) == (503, b'{"error":"too many clients at once; try again in a second"}\n')
        assert first.recv(65536).startswith(b"HTTP/1.1 200 OK")


def test_stop_is_quick_with_stalled_clients_and_frees_the_port() -> None:
    threads = native_threads()
    patient = Limits(request_seconds=600, idle_seconds=600, write_seconds=600, linger_seconds=600)
    with serving(limits=patient) as server, contextlib.ExitStack() as clients:
        for sent in (b"", b"GET", PLAIN) * 5:
            clients.enter_context(connect(server)).sendall(sent)
        running = [server.running]
        started = time.monotonic()
        server.stop()
        assert time.monotonic() - started < 60, "no client is waited for"
        running.append(server.running)
        assert running == [True, False]
        with HttpServer("127.0.0.1", server.port) as again:
            again.start(lambda _: OK)
            assert get(again).endswith(b"ok")
        server.stop()
    wait_until(lambda: native_threads() <= threads)


def test_stop_lets_an_answer_under_way_go_out() -> None:
    asked = threading.Event()

    def respond(_: Request) -> Answer:
        asked.set()
        time.sleep(0.1)
        return OK

    with serving(respond) as server, connect(server) as client:
        client.sendall(PLAIN)
        assert asked.wait(20)
        server.stop()
        assert client.recv(65536).endswith(b"ok")


def test_stop_does_not_wait_for_an_answer_that_never_comes() -> None:
    asked, release = threading.Event(), threading.Event()

    def respond(_: Request) -> Answer:
        asked.set()
        release.wait(600)
        return OK

    with serving(respond) as server, connect(server) as client:
        client.sendall(PLAIN)
        assert asked.wait(60)
        started = time.monotonic()
        server.stop()
        assert time.monotonic() - started < 60, "the answer is not waited for"
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
    # The host never yields to its hub while clients are served: native threads alone answer.
    found = eventlet.patcher.original("subprocess").run(
        [sys.executable, "-c", CLIENT, str(server.port)], capture_output=True, text=True, timeout=60)
    assert found.stdout.split() == ["200"] * 20, found
    idle = socket.create_connection(("127.0.0.1", server.port))
print("stopped")
"""


@pytest.mark.parametrize("patched", ["before", "after", "not at all"])
def test_it_serves_in_a_host_program_that_is_monkey_patched(patched: str) -> None:
    command = [sys.executable, "-c", HOST_PROGRAM, patched]
    root = Path(__file__).parents[2]
    found = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120, check=False)
    assert found.stdout == "stopped\n", found.stderr
