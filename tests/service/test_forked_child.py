"""Forked children of a serving process keep no port and no client, and warn about unheard reports."""

from __future__ import annotations

import re
import signal
import socket
from collections.abc import Iterator

import pytest

from rag_pipeline.common.listener import open_listener
from rag_pipeline.errors import PortInUseError
from rag_pipeline.service.forked_child import OneTimePermit
from tests.support.programs import Program, run
from tests.support.waiting import DEADLINE_SECONDS, wait_until

pytestmark = pytest.mark.slow

SERVING = """
import os, sys, time
from status_server import PipelineStatus, pipeline_status, start_status_server
pipeline = PipelineStatus("local_files", "forking")
server = start_status_server(0, state_dir=sys.argv[1] if len(sys.argv) > 1 else None)
print("ports", server.http_port, server.socket_port, flush=True)
"""
WITH_A_CHILD = (
    SERVING
    + """
sys.stdin.readline()
if os.fork() == 0:
    print("child", os.getpid(), flush=True)
    time.sleep(600)
    os._exit(0)
sys.stdin.readline()
server.stop()
print("stopped", flush=True)
sys.stdin.read()
"""
)
WARNING = "its reports are shown nowhere"


class Forking:
    """A program with a server, a client on each port, and a child forked afterwards."""

    def __init__(self, program: Program) -> None:
        self.program = program
        found = program.expect(r"ports (\d+ \d+)").split()
        self.ports = [int(port) for port in found]
        self.clients = [socket.create_connection(("127.0.0.1", port), DEADLINE_SECONDS) for port in self.ports]
        for client in self.clients:
            client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.recv(1 << 16).startswith(b"HTTP/1.1 200")
        program.line()
        self.child = int(program.expect(r"child (\d+)"))

    def assert_clients_see_the_end(self) -> None:
        for client in self.clients:
            try:
                while client.recv(1 << 16):
                    pass
            except ConnectionResetError:
                pass


@pytest.fixture
def forking() -> Iterator[Forking]:
    with Program("-W", "error", "-c", WITH_A_CHILD) as program:
        found = Forking(program)
        try:
            yield found
        finally:
            for client in found.clients:
                client.close()
            program.kill(found.child)


def assert_free(port: int) -> None:
    def is_free() -> bool:
        try:
            open_listener("127.0.0.1", port).close()
        except PortInUseError:
            return False
        return True

    wait_until(is_free)  # the kernel closes a killed process's files some time later


def test_the_ports_are_free_once_the_parent_has_stopped(forking: Forking) -> None:
    forking.program.line()
    forking.program.expect("stopped")
    for port in forking.ports:
        assert_free(port)
    forking.assert_clients_see_the_end()


def test_the_ports_are_free_once_the_parent_was_killed_and_its_clients_see_the_end(forking: Forking) -> None:
    forking.program.signal(signal.SIGKILL)
    forking.assert_clients_see_the_end()
    for port in forking.ports:
        assert_free(port)


def test_a_child_changes_nothing_for_the_parent_and_its_clients(forking: Forking) -> None:
    for client in forking.clients:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 200")


def said_by(program: str, *arguments: str) -> str:
    done = run("-W", "error", "-W", "ignore:This process:DeprecationWarning", "-c", program, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stderr


POOL = (
    SERVING
    + """
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
def work(name):
    with pipeline.processing(name) as file:
        file.stage("chunking", 0.5)
with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
    list(pool.map(work, ["a.txt", "b.txt", "c.txt", "d.txt"]))
assert pipeline.get()["total_processed"] == 0
server.stop()
"""
)


def test_forked_workers_log_one_warning_about_unheard_reports() -> None:
    said = said_by(POOL)
    assert said.count("\n") == 1
    assert WARNING in said
    assert "Report from the parent, or set STATUS_REDIS_URL" in said


FORK = """
def child(call):
    pid = os.fork()
    if pid == 0:
        try:
            call()
        except BaseException:
            import traceback
            traceback.print_exc()
        os._exit(0)
    os.waitpid(pid, 0)
"""


@pytest.mark.parametrize(
    ("setup", "call"),
    [
        ("", "pipeline_status.update(status='running')"),
        ("", "PipelineStatus('local_files', 'made-later').add_processing_file('a.txt')"),
        ("pipeline.add_processing_file('a.txt')", "pipeline.complete_file('a.txt')"),
        ("", "child(lambda: pipeline.update(status='of a grandchild'))"),
    ],
)
def test_any_report_in_a_child_is_warned_about(setup: str, call: str) -> None:
    said = said_by(f"{SERVING}{FORK}{setup}\nchild(lambda: {call})\nchild(lambda: {call})\n")
    assert [WARNING in line for line in said.splitlines()] == [True]


OWN_SERVER = """
def own():
    with start_status_server(0) as mine:
        pipeline.update(status="running")
        PipelineStatus("local_files", "of-the-child").update(status="running")
"""


@pytest.mark.parametrize(
    "call",
    [
        "None",
        "pipeline.get()",
        "PipelineStatus('local_files', 'silent')",
        "server.stop()",
        "server.__exit__(None, None, None)",
        "own()",
    ],
)
def test_a_child_without_reports_or_with_a_server_of_its_own_does_not_warn(call: str) -> None:
    assert said_by(f"{SERVING}{FORK}{OWN_SERVER}child(lambda: {call})\n") == ""


def test_a_child_of_a_program_without_a_server_does_not_warn() -> None:
    program = f"""
import os
from status_server import pipeline_status, start_status_server
start_status_server(0).stop()
{FORK}
child(lambda: pipeline_status.update(status="running"))
"""
    assert said_by(program) == ""


def test_a_child_that_stops_the_inherited_server_leaves_the_parents_one_running() -> None:
    program = f"""{SERVING}{FORK}
child(server.stop)
import http.client
for port in (server.http_port, server.socket_port):
    asking = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    asking.request("GET", "/health")
    assert asking.getresponse().status == 200
    asking.close()
assert "running" in repr(server)
def look():
    assert "stopped" in repr(server), repr(server)
    os.write(1, b"fine")
child(look)
"""
    done = run("-W", "error", "-c", program)
    assert (done.stderr, done.returncode) == ("", 0)
    assert re.search("fine", done.stdout)


def test_a_permit_is_given_once() -> None:
    once = OneTimePermit()
    assert [once.take(), once.take()] == [True, False]
    once.close()
    once.close()
    assert not once.take()
