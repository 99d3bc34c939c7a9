"""Runs the command as a process, with and without a terminal."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_pipeline.errors import ExitCode
from rag_pipeline.service import StatusServer
from rag_pipeline.status.pipeline import PipelineStatus
from tests.socket_server.support import new_pipeline, serving
from tests.support.ports import free_port_pair, taken_port
from tests.support.programs import ROOT, Program, environment, run
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

SECONDS = 60.0
WATCH = ("-m", "rag_pipeline", "watch")


def url_of(server: StatusServer) -> str:
    return f"http://127.0.0.1:{server.http_port}"


@pytest.fixture
def pipeline() -> PipelineStatus:
    made = new_pipeline()
    made.update(status="processing")
    return made


class Terminal:
    """The command on a pseudo-terminal; ``shown`` is everything written to it."""

    def __init__(self, *arguments: str, columns: int = 80, lines: int = 24, env: dict[str, str] | None = None) -> None:
        self._fd, inner = pty.openpty()
        self.resize(columns, lines)
        given = {"TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8", **(env or {})}
        kept = {key: value for key, value in environment(given).items() if key not in ("COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            [sys.executable, *WATCH, *arguments], cwd=ROOT, env=kept, stdin=inner, stdout=inner, stderr=inner
        )
        os.close(inner)
        self._data = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # Linux reports a closed terminal as an error
            while part := os.read(self._fd, 1 << 16):
                self._data += part

    @property
    def shown(self) -> str:
        return self._data.decode(errors="replace")

    @property
    def frame(self) -> list[str]:
        """The lines of the last complete frame, as far as they are visible without a terminal emulator."""
        frames = re.split(r"\x1b\[H", self.shown)
        return [line.rstrip() for line in re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", frames[-2]).splitlines()]

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def expect(self, text: str) -> None:
        wait_until(lambda: text in self.shown or self.process.poll() is not None, f"{text!r} on the terminal")
        assert text in self.shown, self.shown

    def end(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        code = self.process.wait(SECONDS)
        self._reader.join(SECONDS)
        return code

    def close(self) -> None:
        self.process.kill()
        self.process.wait(SECONDS)
        self._reader.join(SECONDS)
        os.close(self._fd)


@contextlib.contextmanager
def terminal(*arguments: str, **options: int | dict[str, str]) -> Iterator[Terminal]:
    made = Terminal(*arguments, **options)  # type: ignore[arg-type]
    try:
        yield made
    finally:
        made.close()


def test_in_a_terminal_the_live_view_follows_its_size(pipeline: PipelineStatus) -> None:
    pipeline.add_processing_file("report.pdf")
    pipeline.file_progress("report.pdf", "embedding", 0.5)
    with serving(pipeline) as server, terminal(url_of(server), columns=60, lines=20) as watch:
        watch.expect("report.pdf")
        watch.expect("50%")
        assert max(len(line) for line in watch.frame) <= 60
        watch.resize(100, 30)
        wait_until(lambda: max(len(line) for line in watch.frame) > 90, "a wider frame")
        pipeline.complete_file("report.pdf", False, error={"type": "CorruptFileError", "message": "it is cut off"})
        watch.expect("embedding: CorruptFileError: it is cut off")
        assert watch.end() == ExitCode.OK
    assert watch.shown.count("\x1b[?1049h") == watch.shown.count("\x1b[?1049l") == 1
    assert "● live" in watch.shown.partition("\x1b[?1049l")[2], "the last frame stays"
    assert "Traceback" not in watch.shown


@pytest.mark.parametrize(
    ("arguments", "env"), [([], {"TERM": "dumb"}), (["--plain"], {}), ([], {"PYTHONIOENCODING": "ascii"})]
)
def test_a_limited_terminal_gets_plain_lines(
    pipeline: PipelineStatus, arguments: list[str], env: dict[str, str]
) -> None:
    with serving(pipeline) as server, terminal(url_of(server), *arguments, env=env) as watch:
        watch.expect("\tprocessing\t")
        assert watch.end(signal.SIGTERM) == ExitCode.OK
    assert "\x1b" not in watch.shown


def test_no_color_is_respected(pipeline: PipelineStatus) -> None:
    with serving(pipeline) as server, terminal(url_of(server), env={"NO_COLOR": "1"}) as watch:
        watch.expect("● live")
        assert not re.search(r"\x1b\[[\d;]*3\dm", watch.shown)


def test_without_a_terminal_each_important_event_is_a_line(pipeline: PipelineStatus) -> None:
    with serving(pipeline) as server, Program(*WATCH, url_of(server)) as watch:
        watch.expect("\tconnection\tlive")
        pipeline.add_processing_file("a.txt")
        pipeline.complete_file("a.txt")
        pipeline.skip_file("b.png", "it is a picture")
        watch.expect(f"{pipeline.pipeline_id}\tskipped\tb.png\tit is a picture\n")
        watch.signal(signal.SIGINT)
        assert watch.exit_code() == ExitCode.OK
    assert "\tcompleted\ta.txt\t" in watch.output
    assert "\x1b" not in watch.output


def test_json_prints_every_event_and_nothing_else_on_stdout(pipeline: PipelineStatus) -> None:
    pipeline.update(status="idle")
    pipeline.complete_file("Übung.md")
    with serving(pipeline) as server:
        done = run(*WATCH, url_of(server), "--json", "--until-idle")
    assert done.returncode == ExitCode.OK
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[0]["event"] == "pipeline:status"
    assert events[0]["data"]["files_completed"][0]["name"] == "Übung.md"
    assert "rag-pipeline watch: live\n" in done.stderr


def test_until_idle_exits_with_1_if_a_file_failed() -> None:
    port = free_port_pair()
    with Program(*WATCH, f"http://127.0.0.1:{port}", "--wait", "--until-idle", "--timeout", "50") as watch:
        watch.expect("\tconnection\tconnecting\t.*Connection refused")
        pipeline = new_pipeline()
        pipeline.update(status="processing")
        with serving(pipeline, http_port=port, socket_port=port + 1):
            pipeline.complete_file("good.md")
            pipeline.complete_file("bad.md", False, error="it is cut off")
            watch.expect("\tconnection\tlive")
            pipeline.update(status="idle")
            assert watch.exit_code() == ExitCode.FILES_FAILED
    assert re.search(r"\tdone\t-\t\d completed, 1 failed, 0 skipped, 0 deleted\n$", watch.output)


def test_a_timeout_is_exit_code_124(pipeline: PipelineStatus) -> None:
    with serving(pipeline) as server:
        done = run(*WATCH, url_of(server), "--until-idle", "--timeout", "1")
    assert done.returncode == ExitCode.TIMEOUT
    assert re.fullmatch(r"rag-pipeline: error: the work was not done within 1 seconds: .*\n", done.stderr)


def test_a_signal_before_the_work_is_done_is_exit_code_130(pipeline: PipelineStatus) -> None:
    with serving(pipeline) as server, Program(*WATCH, url_of(server), "--until-idle") as watch:
        watch.expect("\tconnection\tlive")
        watch.signal(signal.SIGTERM)
        assert watch.exit_code() == ExitCode.INTERRUPTED


def test_an_unreachable_service_is_one_line() -> None:
    with taken_port() as port:
        pass
    done = run(*WATCH, f"http://127.0.0.1:{port}", "--json")
    assert (done.returncode, done.stdout) == (ExitCode.UNREACHABLE, "")
    assert done.stderr.endswith(
        f"rag-pipeline: error: no connection to http://127.0.0.1:{port}: Connection refused; "
        "use --wait to wait for the service to start\n"
    )


def test_watching_goes_on_after_a_kill_of_the_service(tmp_path: Path) -> None:
    port = free_port_pair()
    demo = ["status_server.py", "--demo", "--speed", "200", "--port", str(port)]
    env = {"STATUS_STATE_DIR": str(tmp_path)}
    with Program(*WATCH, f"http://127.0.0.1:{port}", "--wait") as watch, contextlib.ExitStack() as stack:
        first = stack.enter_context(Program(*demo, env=env))
        watch.expect("\tcompleted\t")
        first.signal(signal.SIGKILL)
        watch.expect("\tconnection\treconnecting\t")
        seen = len(watch.output)
        stack.enter_context(Program(*demo, env=env))
        wait_until(lambda: re.search("\tconnection\tlive.*\tcompleted\t", watch.output[seen:], re.DOTALL), "more of it")
        watch.signal(signal.SIGINT)
        assert watch.exit_code() == ExitCode.OK
    assert "Traceback" not in watch.output


def test_the_default_is_the_service_of_this_machine(pipeline: PipelineStatus) -> None:
    pipeline.update(status="idle")
    with serving(pipeline) as server:
        done = run(*WATCH, "--until-idle", env={"STATUS_PORT": str(server.http_port)})
    assert done.returncode == ExitCode.OK
    assert f"{pipeline.pipeline_id}\tstatus\tidle" in done.stdout


def test_a_token_comes_from_the_environment_or_a_file(tmp_path: Path) -> None:
    port = free_port_pair()
    server = ["status_server.py", "--demo", "--port", str(port)]
    file = tmp_path / "token"
    file.write_text("a-token-of-sixteen-characters\n")
    url = f"http://127.0.0.1:{port}"
    with Program(*server, env={"STATUS_AUTH_TOKEN": "a-token-of-sixteen-characters"}) as service:
        service.expect("Status")
        refused = run(*WATCH, url)
        assert refused.returncode == ExitCode.ACCESS
        assert refused.stderr.endswith(
            "it requires a token, and none was given: set STATUS_TOKEN or --token-file to a valid token\n"
        )
        wrong = run(*WATCH, url, env={"STATUS_TOKEN": "hunter2-hunter2-hunter2"})
        assert wrong.returncode == ExitCode.ACCESS
        assert "hunter2" not in wrong.stderr + wrong.stdout
        for service_url in (url, f"http://127.0.0.1:{port + 1}"):
            with Program(*WATCH, service_url, "--token-file", str(file)) as watch:
                watch.expect("\tconnection\tlive")
                watch.signal(signal.SIGTERM)
                assert watch.exit_code() == ExitCode.OK


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--timeout", "5"], "--timeout needs --until-idle"),
        (["--until-idle", "--timeout", "0"], "expected a number of seconds above 0"),
        (["localhost:8003"], "url='localhost:8003': expected http"),
        (["http://user:hunter2@127.0.0.1:1"], "use a token instead"),
        (["--namespace", "/elsewhere"], "/elsewhere"),
        (["--token-file", "/no/such/file"], "No such file or directory"),
        (["--token-file", "/dev/null"], "is empty"),
        (["--json", "--plain"], "not allowed with"),
    ],
)
def test_a_wrong_argument_is_one_line(arguments: list[str], said: str) -> None:
    done = run(*WATCH, *arguments)
    assert (done.returncode, done.stdout) == (ExitCode.USAGE, "")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
    assert "hunter2" not in done.stderr


def test_without_rich_the_live_view_says_what_to_install_and_plain_works() -> None:
    hide = (
        "import importlib.util as u, sys\n"
        "find = u.find_spec\n"
        "u.find_spec = lambda name, *more: None if name == 'rich' else find(name, *more)\n"
        "from rag_pipeline.cli import main as cli\n"
        "from rag_pipeline.cli.watch import command\n"
        "command._can_draw = lambda out: True\n"
        "sys.exit(cli.main(['watch', 'http://127.0.0.1:1', *sys.argv[1:]]))"
    )
    done = run("-c", hide)
    assert (done.returncode, done.stderr.count("\n")) == (ExitCode.USAGE, 1)
    assert 'pip install "rag-pipeline-status[watch]"' in done.stderr
    assert run("-c", hide, "--plain").returncode == ExitCode.UNREACHABLE


def test_a_closed_pipe_is_no_error(pipeline: PipelineStatus) -> None:
    with serving(pipeline) as server:
        reading, writing = os.pipe()
        with subprocess.Popen(
            [sys.executable, *WATCH, url_of(server)],
            cwd=ROOT,
            env=environment(),
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
        ) as watch:
            os.close(writing)
            os.read(reading, 1)
            os.close(reading)
            pipeline.complete_file("a.txt")
            assert watch.wait(SECONDS) == 0
            assert watch.stderr is not None
            assert watch.stderr.read() == ""


def test_a_full_output_is_one_line(pipeline: PipelineStatus) -> None:
    with serving(pipeline) as server, open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        done = run(*WATCH, url_of(server), stdout=full)
    assert done.returncode == ExitCode.OUTPUT
    assert done.stderr == "rag-pipeline: error: the output can't be written: No space left on device\n"
