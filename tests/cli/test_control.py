"""The command from outside: a process that asks a running service, and what it says when that can't be."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.cli.control import Order, read_order
from rag_pipeline.common.config import AuthSettings
from rag_pipeline.errors import ConfigurationError, ExitCode
from rag_pipeline.service.server import StatusServer
from rag_pipeline.status import PipelineStatus
from rag_pipeline.status.control import Action, Control
from tests.socket_server.support import new_pipeline, serving
from tests.support.ports import taken_port
from tests.support.programs import run

TOKEN = "a-token-of-the-house"


@pytest.fixture
def pipeline() -> PipelineStatus:
    made = PipelineStatus("local_files", "papers & all")
    made.control = Control()
    return made


@pytest.fixture
def server(pipeline: PipelineStatus) -> Iterator[StatusServer]:
    with serving(pipeline, new_pipeline("google_drive"), control=True) as running:
        yield running


def asking(server: StatusServer, *words: str, token: str | None = None) -> subprocess.CompletedProcess[str]:
    env = {} if token is None else {"STATUS_TOKEN": token}
    return run("-m", "rag_pipeline", "control", f"http://127.0.0.1:{server.http_port}", *words, env=env)


def taken(pipeline: PipelineStatus) -> list[tuple[Action, str | None]]:
    assert pipeline.control is not None
    return [(request.action, request.file_id) for request in pipeline.control.take()]


# -- the words ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "order"),
    [
        ("pause", Order(None, None, Action.PAUSE, None)),
        ("papers resume", Order(None, "papers", Action.RESUME, None)),
        ("http://a:1 papers check", Order("http://a:1", "papers", Action.CHECK, None)),
        ("https://a cancel a/b.pdf", Order("https://a", None, Action.CANCEL, "a/b.pdf")),
        ("papers retry a.pdf", Order(None, "papers", Action.RETRY, "a.pdf")),
        ("pause pause", Order(None, "pause", Action.PAUSE, None)),
        ("confirm 30", Order(None, None, Action.CONFIRM, None, 30)),
        ("papers retry retry", Order(None, "papers", Action.RETRY, "retry")),
    ],
)
def test_the_words_of_the_command_line_are_understood(words: str, order: Order) -> None:
    assert read_order(words.split()) == order


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("http://a", "expected [URL]"),
        ("papers", "expected [URL]"),
        ("papers stop", "'papers stop' is not understood"),
        ("papers retry a b", "expected [URL]"),
        ("papers retry", "retry: expected the id of a file"),
        ("pause a.pdf", "pause: expected no file"),
        ("confirm all", "confirm: expected the number of deletions that are held, not 'all'"),
        ("confirm 0", "confirm: expected the number of deletions that are held, not '0'"),
    ],
)
def test_what_is_not_understood_is_told_in_one_line(words: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        read_order(words.split())
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@given(st.lists(st.text(max_size=10) | st.sampled_from([*Action, "http://a"]), min_size=1, max_size=6))
def test_any_words_are_an_order_or_a_mistake(words: list[str]) -> None:
    try:
        order = read_order(words)
    except ConfigurationError:
        return
    said = (order.url, order.pipeline_id, order.action, order.file_id, order.deletions)
    assert [str(word) for word in said if word is not None] == words


# -- a running service -------------------------------------------------------------------------------------------------


def test_a_pipeline_is_asked_and_one_line_says_so(server: StatusServer, pipeline: PipelineStatus) -> None:
    done = asking(server, "papers & all", "pause")
    assert (done.returncode, done.stdout, done.stderr) == (0, "papers & all: asked to pause\n", "")
    assert pipeline.control is not None
    assert pipeline.control.paused
    done = asking(server, "papers & all", "retry", "a/b & c?.pdf")
    assert (done.returncode, done.stdout) == (0, "papers & all: asked to retry a/b & c?.pdf\n")
    assert taken(pipeline) == [(Action.RETRY, "a/b & c?.pdf")]


def test_the_only_pipeline_that_can_be_asked_need_not_be_named(server: StatusServer, pipeline: PipelineStatus) -> None:
    done = asking(server, "check")
    assert (done.returncode, done.stdout) == (0, "papers & all: asked to check\n")
    assert taken(pipeline) == [(Action.CHECK, None)]


def test_of_several_one_has_to_be_named(server: StatusServer) -> None:
    server.pipelines()[1].control = Control()
    done = asking(server, "check")
    assert done.returncode == ExitCode.USAGE
    assert "there are several pipelines, " in done.stderr


def test_what_the_pipeline_can_not_do_has_an_exit_code_of_its_own(
    server: StatusServer, pipeline: PipelineStatus
) -> None:
    assert pipeline.control is not None
    pipeline.control.attend(lambda asked: f"{asked.file_id} has not failed", lambda: None)
    done = asking(server, "retry", "a.pdf")
    assert (done.returncode, done.stdout) == (ExitCode.REFUSED, "")
    assert done.stderr == "rag-pipeline: error: a.pdf has not failed\n"


def test_an_unknown_pipeline_is_a_mistake_of_who_asks(server: StatusServer) -> None:
    done = asking(server, "nobody", "pause")
    assert (done.returncode, done.stderr.count("\n")) == (ExitCode.USAGE, 1)
    assert "no pipeline 'nobody'" in done.stderr


@pytest.mark.parametrize("name", [".", ".."])
def test_a_name_that_is_a_step_in_a_path_is_not_asked_for_another(server: StatusServer, name: str) -> None:
    done = asking(server, name, "pause")
    assert (done.returncode, done.stdout) == (ExitCode.USAGE, "")
    assert f"a pipeline called {name!r} can't be asked" in done.stderr


def test_a_service_that_does_not_allow_it_says_how_it_would(pipeline: PipelineStatus) -> None:
    with serving(pipeline) as server:
        for words in (("pause",), ("papers & all", "pause")):
            done = asking(server, *words)
            assert (done.returncode, done.stderr.count("\n")) == (ExitCode.ACCESS, 1)
            assert "STATUS_CONTROL=1" in done.stderr


def test_a_service_that_asks_for_a_token_gets_it(pipeline: PipelineStatus, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    with serving(pipeline, control=True, auth=AuthSettings(tokens=(TOKEN,))) as server:
        for words in (("pause",), ("papers & all", "pause")):
            done = asking(server, *words)
            assert (done.returncode, done.stderr.count("\n")) == (ExitCode.ACCESS, 1)
            assert "it asks for a token" in done.stderr
        assert asking(server, "pause", token="wrong-token-of-a-stranger").returncode == ExitCode.ACCESS
        assert asking(server, "pause", token=TOKEN).returncode == 0
        assert asking(server, "resume", "--token-file", str(file)).returncode == 0


def test_where_there_is_no_service_it_says_so() -> None:
    with taken_port() as port:
        pass
    done = run("-m", "rag_pipeline", "control", "check", env={"STATUS_PORT": str(port)})
    assert (done.returncode, done.stdout) == (ExitCode.UNREACHABLE, "")
    assert done.stderr == f"rag-pipeline: error: http://127.0.0.1:{port} can't be reached: Connection refused\n"


def test_a_token_does_not_go_on_to_where_it_is_sent() -> None:
    asked: list[str] = []

    class Redirecting(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
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
    assert asked == ["/control/papers/pause"]
    assert (done.returncode, done.stderr) == (
        ExitCode.UNREACHABLE,
        f"rag-pipeline: error: {url} can't be asked: it answered 307\n",
    )
