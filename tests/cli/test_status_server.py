"""Runs ``python status_server.py`` as a process: addresses, signals, wrong settings."""

from __future__ import annotations

import signal

import pytest

from rag_pipeline.cli.status_server import main
from rag_pipeline.errors import ExitCode
from tests.support.http_get import get_json
from tests.support.ports import taken_port
from tests.support.programs import Program, run
from tests.support.waiting import wait_until
from tests.verify import Watcher

pytestmark = pytest.mark.slow

SCRIPT = "status_server.py"
STATUS_URL = r"http://127\.0\.0\.1:(\d+)/status"
SOCKET_URL = r"http://127\.0\.0\.1:(\d+)/pipeline"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_runs_until_a_signal_and_exits_with_0(number: signal.Signals) -> None:
    with Program("-W", "error", SCRIPT, "--port", "0") as program:
        program.expect("Press Ctrl")
        port = int(program.expect(STATUS_URL))
        assert get_json(port, "/status").body["status"] == "initializing"
        assert get_json(port, "/health").status == 200
        program.signal(number)
        assert program.exit_code() == 0
        assert "Traceback" not in program.output


def test_a_signal_stops_a_busy_demo_with_clients() -> None:
    with Program(SCRIPT, "--port", "0", "--demo", "--speed", "2000") as program:
        program.expect("Press Ctrl")
        port = program.expect(SOCKET_URL)
        with (
            Watcher(f"http://127.0.0.1:{port}", ["websocket"]) as one,
            Watcher(f"http://127.0.0.1:{port}", ["polling"]),
        ):
            wait_until(lambda: one.counts("/google_drive")["pipeline:file_completed"] > 10)
            program.signal(signal.SIGINT)
            program.signal(signal.SIGINT)  # an impatient user
            assert program.exit_code() == 0
            wait_until(lambda: not one.connected)
            states = [i.arguments[0]["status"] for i in one.received("/pipeline") if i.name == "pipeline:status"]
            assert states[-1] == "stopped"
        assert "Traceback" not in program.output


def test_once_ends_with_the_demo() -> None:
    with Program(SCRIPT, "--port", "0", "--demo", "--once", "--speed", "1e6") as program:
        assert program.exit_code() == 0
        assert "Traceback" not in program.output


def test_options_win_over_the_environment() -> None:
    with taken_port() as taken, taken_port() as free:
        pass
    env = {"STATUS_PORT": str(taken), "SOCKET_IO_PORT": "1", "STATUS_HOST": "no such host"}
    options = ["--host", "localhost", "--port", "0", "--socket-port", str(free)]
    with Program(SCRIPT, *options, env=env) as program:
        assert program.expect(r"localhost:(\d+)/pipeline") == str(free)
        program.signal(signal.SIGTERM)
        assert program.exit_code() == 0


@pytest.mark.parametrize(
    ("arguments", "env", "named"),
    [
        (["--port", "abc"], {}, "abc"),
        (["--port", "-5"], {}, "-5"),
        (["--socket-port", "70000", "--port", "0"], {}, "70000"),
        (["--port", "0", "--host", "no such host"], {}, "no such host"),
        (["--port", "0", "--bogus"], {}, "--bogus"),
        (["--port", "0", "--demo", "--speed", "0"], {}, "speed"),
        (["--port", "0", "--demo", "--speed", "nan"], {}, "speed"),
        (["--port", "0", "--once"], {}, "--demo"),
        ([], {"STATUS_PORT": "http"}, "STATUS_PORT='http'"),
        (["--port", "0"], {"SOCKET_IO_TRANSPORTS": "smoke"}, "SOCKET_IO_TRANSPORTS='smoke'"),
        (["--port", "0"], {"ENVIRONMENT": "production", "SOCKET_IO_CORS_ORIGIN": "*"}, "SOCKET_IO_CORS_ORIGIN"),
    ],
)
def test_a_wrong_setting_is_one_line_and_exit_code_2(
    arguments: list[str],
    env: dict[str, str],
    named: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for key, value in env.items():
        monkeypatch.setenv(key, value)
    assert main(arguments) == ExitCode.USAGE
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("status_server.py: error: ")
    assert named in captured.err


def test_a_taken_port_is_one_line_and_exit_code_3() -> None:
    with taken_port() as port:
        done = run("-W", "error", SCRIPT, "--port", str(port))
    assert (done.returncode, done.stdout) == (ExitCode.PORT_IN_USE, "")
    assert done.stderr.startswith(f"{SCRIPT}: error: port {port} on 127.0.0.1 is in use")
    assert done.stderr.count("\n") == 1
