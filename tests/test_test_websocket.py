"""Runs ``python test_websocket.py`` as a process; the comparison is tested in tests/verify."""

from __future__ import annotations

import os
import re
import signal

import pytest

from rag_pipeline.errors import ExitCode
from tests.support.http_get import get_json
from tests.support.ports import taken_port
from tests.support.programs import Program, run
from tests.support.waiting import wait_until
from tests.verify import Watcher

pytestmark = pytest.mark.slow

SCRIPT = "test_websocket.py"

# The hub drops every tenth packet.
LOSSY = """
import itertools, sys
from rag_pipeline.broadcast import hub
real, count = hub.batch, itertools.count(1)
hub.batch = lambda packets: real([p for p in packets if next(count) % 10] or packets[:1])
import test_websocket
sys.exit(test_websocket.main(["--once", "--port", "0"]))
"""


def test_once_exits_0_when_every_client_received_what_was_emitted() -> None:
    done = run(SCRIPT, "--once", "--port", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "Every client received exactly what was emitted." in done.stdout
    rows = [line.split() for line in done.stdout.splitlines() if re.match("websocket|polling", line)]
    assert len(rows) == 12
    for namespace in ("/google_drive", "/local_files", "/pipeline", "/"):
        by_transport = {tuple(row[2:]) for row in rows if row[1] == namespace}
        assert len(by_transport) == 1  # the same over every transport
        assert all(int(count) > 0 for count in by_transport.pop())


def test_once_exits_1_and_prints_the_differences() -> None:
    done = run("-c", LOSSY, env={"SOCKET_IO_TRANSPORTS": "websocket"})
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"websocket in /pipeline: missing: pipeline:\w+ seq \d+", done.stdout)
    assert "NOT what was emitted" in done.stdout


def test_only_allowed_transports_are_used() -> None:
    done = run(SCRIPT, "--once", "--port", "0", env={"SOCKET_IO_TRANSPORTS": "websocket"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "polling" not in done.stdout


def test_without_once_the_servers_run_until_ctrl_c() -> None:
    with Program(SCRIPT, "--port", "0", env={"SOCKET_IO_TRANSPORTS": "websocket"}) as program:
        program.expect("Press Ctrl")
        port = program.expect(r"http://127.0.0.1:(\d+)/pipeline")
        assert get_json(int(program.expect(r"http://127.0.0.1:(\d+)/status")), "/health").status == 200
        with Watcher(f"http://127.0.0.1:{port}", ["websocket"]) as watcher:
            wait_until(lambda: watcher.count("/google_drive") > 3)  # the demo plays
            program.signal(signal.SIGINT)
            assert program.exit_code() == 0
        assert "Traceback" not in program.output


@pytest.mark.parametrize("wrong", ["abc", "70000"])
def test_a_wrong_port_is_one_line_and_exit_code_2(wrong: str) -> None:
    done = run(SCRIPT, "--once", "--port", wrong)
    assert (done.returncode, done.stdout) == (ExitCode.USAGE, "")
    assert done.stderr.startswith(f"{SCRIPT}: error: ")
    assert wrong in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_taken_port_is_one_line_and_exit_code_3() -> None:
    with taken_port() as port:
        done = run(SCRIPT, "--port", str(port))
    assert (done.returncode, done.stdout) == (ExitCode.PORT_IN_USE, "")
    assert f"port {port} " in done.stderr
    assert done.stderr.count("\n") == 1


def test_pytest_finds_no_tests_in_the_script() -> None:
    done = run("-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", SCRIPT)
    assert done.returncode == 5, done.stdout  # pytest's code for: nothing collected


def test_a_closed_pipe_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as gone:
        done = run(SCRIPT, "--once", "--port", "0", stdout=gone)
    assert (done.returncode, done.stderr) == (0, "")
