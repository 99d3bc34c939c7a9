"""Runs the command as a process against a running service."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.cli.control import ControlCommand, parse_words
from rag_pipeline.common.config import AuthSettings
from rag_pipeline.errors import ConfigurationError, ExitCode
from rag_pipeline.service import StatusServer
from rag_pipeline.status.control import Action, Control
from rag_pipeline.status.pipeline import PipelineStatus
from tests.socket_server.support import new_pipeline, serving
from tests.support.ports import taken_port
from tests.support.programs import run

pytestmark = pytest.mark.slow

TOKEN = "a-token-for-the-tests"


@pytest.fixture
def pipeline() -> PipelineStatus:
    made = PipelineStatus("local_files", "papers & all")
    made.control = Control()
    return made


@pytest.fixture
def server(pipeline: PipelineStatus) -> Iterator[StatusServer]:
    with serving(pipeline, new_pipeline("google_drive"), control=True) as running:
        yield running


def control(server: StatusServer, *words: str, token: str | None = None) -> subprocess.CompletedProcess[str]:
    env = {} if token is None else {"STATUS_TOKEN": token}
    return run("-m", "rag_pipeline", "control", f"http://127.0.0.1:{server.http_port}", *words, env=env)


def taken(pipeline: PipelineStatus) -> list[tuple[Action, str | None]]:
    assert pipeline.control is not None
    return [(request.action, request.file_id) for request in pipeline.control.take()]


# -- the command line --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("pause", ControlCommand(None, None, Action.PAUSE, None)),
        ("papers resume", ControlCommand(None, "papers", Action.RESUME, None)),
        ("http://a:1 papers check", ControlCommand("http://a:1", "papers", Action.CHECK, None)),
        ("https://a postpone a/b.pdf", ControlCommand("https://a", None, Action.POSTPONE, "a/b.pdf")),
        ("https://a cancel a/b.pdf", ControlCommand("https://a", None, Action.POSTPONE, "a/b.pdf")),
        ("papers retry a.pdf", ControlCommand(None, "papers", Action.RETRY, "a.pdf")),
        ("pause pause", ControlCommand(None, "pause", Action.PAUSE, None)),
        ("confirm 30", ControlCommand(None, None, Action.CONFIRM, None, 30)),
        ("papers retry retry", ControlCommand(None, "papers", Action.RETRY, "retry")),
    ],
)
def test_the_words_of_the_command_line_are_parsed(words: str, command: ControlCommand) -> None:
    assert parse_words(words.split()) == command


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("http://a", "expected [URL]"),
        ("papers", "expected [URL]"),
        ("papers stop", "'papers stop' is not understood"),
        ("papers retry a b", "expected [URL]"),
        ("papers retry", "retry: expected the id of a file"),
        ("pause a.pdf", "pause: expected no file"),
        ("confirm all", "confirm: expected the number of held deletions, not 'all'"),
        ("confirm 0", "confirm: expected the number of held deletions, not '0'"),
    ],
)
def test_wrong_words_are_one_line(words: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        parse_words(words.split())
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@given(st.lists(st.text(max_size=10) | st.sampled_from([*Action, "http://a"]), min_size=1, max_size=6))
def test_any_words_are_a_command_or_a_configuration_error(words: list[str]) -> None:
    try:
        command = parse_words(words)
    except ConfigurationError:
        return
    assert [str(word) for word in command if word is not None] == words


# -- a running service -------------------------------------------------------------------------------------------------


def test_the_action_is_sent_and_one_line_says_so(server: StatusServer, pipeline: PipelineStatus) -> None:
    done = control(server, "papers & all", "pause")
    assert (done.returncode, done.stdout, done.stderr) == (0, "papers & all: asked to pause\n", "")
    assert pipeline.control is not None
    assert pipeline.control.paused
    done = control(server, "papers & all", "retry", "a/b & c?.pdf")
    assert (done.returncode, done.stdout) == (0, "papers & all: asked to retry a/b & c?.pdf\n")
    assert taken(pipeline) == [(Action.RETRY, "a/b & c?.pdf")]


def test_the_only_controllable_pipeline_need_not_be_named(server: StatusServer, pipeline: PipelineStatus) -> None:
    done = control(server, "check")
    assert (done.returncode, done.stdout) == (0, "papers & all: asked to check\n")
    assert taken(pipeline) == [(Action.CHECK, None)]


def test_with_several_pipelines_one_must_be_named(server: StatusServer) -> None:
    server.pipelines()[1].control = Control()
    done = control(server, "check")
    assert done.returncode == ExitCode.USAGE
    assert "there are several pipelines, " in done.stderr


def test_a_pipeline_that_refuses_the_action_is_exit_code_11(server: StatusServer, pipeline: PipelineStatus) -> None:
    assert pipeline.control is not None
    pipeline.control.attend(lambda request: f"{request.file_id} has not failed", lambda: None)
    done = control(server, "retry", "a.pdf")
    assert (done.returncode, done.stdout) == (ExitCode.REFUSED, "")
    assert done.stderr == "rag-pipeline: error: a.pdf has not failed\n"


def test_an_unknown_pipeline_is_an_error_that_lists_the_known_ones(
    server: StatusServer, pipeline: PipelineStatus
) -> None:
    done = control(server, "nobody", "pause")
    assert (done.returncode, done.stderr.count("\n")) == (ExitCode.USAGE, 1)
    known = ", ".join(sorted(each.pipeline_id for each in server.pipelines()))
    assert done.stderr.endswith(f"the service has no pipeline nobody: it has {known}\n")
    assert pipeline.pipeline_id in known


@pytest.mark.parametrize("name", [".", ".."])
def test_an_id_that_is_a_step_in_a_path_is_refused(server: StatusServer, name: str) -> None:
    done = control(server, name, "pause")
    assert (done.returncode, done.stdout) == (ExitCode.USAGE, "")
    assert f"a pipeline with the id {name!r} can't be controlled" in done.stderr


def test_a_service_without_control_names_the_setting(pipeline: PipelineStatus) -> None:
    with serving(pipeline) as server:
        for words in (("pause",), ("papers & all", "pause")):
            done = control(server, *words)
            assert (done.returncode, done.stderr.count("\n")) == (ExitCode.ACCESS, 1)
            assert "STATUS_CONTROL=1" in done.stderr


def test_the_token_is_sent(pipeline: PipelineStatus, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    with serving(pipeline, control=True, auth=AuthSettings(tokens=(TOKEN,))) as server:
        for words in (("pause",), ("papers & all", "pause")):
            done = control(server, *words)
            assert (done.returncode, done.stderr.count("\n")) == (ExitCode.ACCESS, 1)
            assert "it requires a token" in done.stderr
            assert "set STATUS_TOKEN or --token-file" in done.stderr
        assert control(server, "pause", token="wrong-token-of-a-stranger").returncode == ExitCode.ACCESS
        assert control(server, "pause", token=TOKEN).returncode == 0
        assert control(server, "resume", "--token-file", str(file)).returncode == 0


def test_an_unreachable_service_is_exit_code_10() -> None:
    with taken_port() as port:
        pass
    done = run("-m", "rag_pipeline", "control", "check", env={"STATUS_PORT": str(port)})
    assert (done.returncode, done.stdout) == (ExitCode.UNREACHABLE, "")
    assert done.stderr == f"rag-pipeline: error: http://127.0.0.1:{port} can't be reached: Connection refused\n"


def test_redirects_are_not_followed() -> None:
    paths: list[str] = []

    class Redirecting(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            paths.append(self.path)
            self.send_response(307)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Redirecting) as other:
        thread = threading.Thread(target=other.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        url = f"http://127.0.0.1:{other.server_port}"
        done = run("-m", "rag_pipeline", "control", url, "papers", "pause", env={"STATUS_TOKEN": TOKEN})
        other.shutdown()
        thread.join()
    assert paths == ["/control/papers/pause"]
    assert (done.returncode, done.stderr) == (
        ExitCode.UNREACHABLE,
        f"rag-pipeline: error: {url} can't be controlled: it answered 307\n",
    )
