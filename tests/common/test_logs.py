"""JSON and text log lines, from the formatters and from real commands."""

from __future__ import annotations

import io
import json
import logging
import signal
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.common import logs
from rag_pipeline.errors import ConfigurationError, ExitCode, ServiceError
from rag_pipeline.status.pipeline import PipelineStatus
from tests.socket_server.support import new_pipeline
from tests.sources.runner.test_terminal import Screen
from tests.support.ports import taken_port
from tests.support.programs import Program, run

JSON = {"LOG_FORMAT": "json"}


def record(
    message: object,
    *args: object,
    error: BaseException | None = None,
    extra: Mapping[str, object] = MappingProxyType({}),
) -> logging.LogRecord:
    info = None if error is None else (type(error), error, error.__traceback__)
    made = logging.LogRecord("rag_pipeline.test", logging.WARNING, __file__, 1, message, args, info)
    made.__dict__.update(extra)
    return made


def parsed(made: logging.LogRecord) -> dict[str, Any]:
    line = logs.JsonFormatter().format(made)
    assert "\n" not in line
    found: dict[str, Any] = json.loads(line)
    return found


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_json_line_has_time_level_logger_and_message() -> None:
    made = record("file %r is gone", "a.pdf")
    found = parsed(made)
    assert list(found) == ["time", "level", "logger", "message"]
    assert abs(datetime.fromisoformat(found["time"]).timestamp() - made.created) < 0.001
    assert found["time"].endswith("+00:00")
    assert (found["level"], found["logger"], found["message"]) == (
        "WARNING",
        "rag_pipeline.test",
        "file 'a.pdf' is gone",
    )


def test_a_json_line_has_the_ids_of_pipeline_and_file() -> None:
    assert parsed(record("x", extra=logs.about("papers")))["pipeline_id"] == "papers"
    assert "file_id" not in parsed(record("x", extra=logs.about("papers")))
    found = parsed(record("x", extra=logs.about("papers", "12345")))
    assert (found["pipeline_id"], found["file_id"]) == ("papers", "12345")


def test_a_json_line_has_type_message_and_traceback_of_an_exception() -> None:
    try:
        raise ServiceError("it did not\nstart")
    except ServiceError as error:
        found = parsed(record("it failed", error=error))["exception"]
    assert (found["type"], found["message"]) == ("ServiceError", "it did not\nstart")
    assert "test_logs.py" in found["traceback"]


def test_a_broken_exception_loses_only_its_message() -> None:
    class BrokenError(Exception):
        def __str__(self) -> str:
            raise ValueError("no")

    found = parsed(record("it failed", error=BrokenError()))
    assert found["exception"]["type"] == "BrokenError"
    assert found["exception"]["message"] == ""


@given(st.text(max_size=20_000) | st.text(st.characters(codec=None), max_size=50), st.text(st.characters(codec=None)))
def test_any_text_makes_one_line_of_bounded_ascii(message: str, file_id: str) -> None:
    line = logs.JsonFormatter().format(record("%s", message, extra=logs.about("p", file_id)))
    assert line.isascii()
    assert len(line.splitlines()) == 1
    found = json.loads(line)
    assert message.startswith(found["message"].removesuffix("…"))
    assert found["file_id"] == file_id


@pytest.mark.parametrize("value", ["JSON", "json", " json "])
def test_the_log_format_ignores_case(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    assert logs.set_up(logging.INFO, {"LOG_FORMAT": value}) is logs.LogFormat.JSON
    assert logs.set_up(logging.INFO, {}) is logs.LogFormat.TEXT
    with pytest.raises(ConfigurationError, match="LOG_FORMAT='xml': expected one of text, json"):
        logs.set_up(logging.INFO, {"LOG_FORMAT": "xml"})


def test_a_hosts_own_logging_is_kept() -> None:
    code = (
        "import logging; logging.basicConfig(format='mine: %(message)s')\n"
        "from rag_pipeline.common import logs; logs.set_up(logging.INFO, {'LOG_FORMAT': 'json'})\n"
        "logging.warning('hello')"
    )
    assert run("-c", code).stderr == "mine: hello\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", [["status_server.py", "--port", "0"], ["-m", "rag_pipeline", "serve"], ["-m", "rag_pipeline", "health"]]
)
def test_a_bad_log_format_is_one_line_for_every_command(command: list[str]) -> None:
    done = run(*command, env={"LOG_FORMAT": "yaml"})
    assert (done.returncode, done.stdout) == (ExitCode.USAGE, "")
    assert done.stderr.endswith("error: LOG_FORMAT='yaml': expected one of text, json\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_every_line_of_a_failing_service_is_json() -> None:
    with taken_port() as port:
        done = run("status_server.py", "--port", str(port), env=JSON)
    assert done.returncode == ExitCode.PORT_IN_USE
    last = lines_of(done.stderr)[-1]
    assert last["level"] == "ERROR"
    assert f"port {port}" in last["message"]


@pytest.mark.slow
def test_the_final_error_of_a_command_is_json() -> None:
    done = run("-m", "rag_pipeline", "serve", "--port", "0", env=JSON)
    assert done.returncode == ExitCode.USAGE
    [line] = lines_of(done.stderr)
    assert line["message"].startswith("STATUS_REDIS_URL is not set")


@pytest.mark.slow
def test_a_running_service_writes_json_to_stderr_and_its_addresses_to_stdout(tmp_path: Path) -> None:
    errors = tmp_path / "stderr"
    code = (
        "import sys; sys.stderr = open(sys.argv[1], 'w', buffering=1)\n"
        "from rag_pipeline.cli.status_server import main\n"
        "sys.exit(main(['--port', '0', '--demo', '--speed', '1000']))"
    )
    environment = {**JSON, "ENVIRONMENT": "production"}
    with Program("-c", code, str(errors), env=environment) as program:
        program.expect(r"Socket\.IO  http")
        program.signal(signal.SIGTERM)
        assert program.exit_code() == 0
    assert lines_of(errors.read_text()), "production says that it has no origins"


def test_warnings_have_the_ids_of_pipeline_and_file(caplog: pytest.LogCaptureFixture) -> None:
    pipeline = new_pipeline()
    pipeline.complete_file("a.pdf", file_id="12345")
    pipeline.file_progress("b.pdf", "chunking", file_id="6")
    PipelineStatus("local_files", pipeline.pipeline_id)
    assert [(parsed(one)["pipeline_id"], parsed(one).get("file_id")) for one in caplog.records] == [
        (pipeline.pipeline_id, "12345"),
        (pipeline.pipeline_id, "6"),
        (pipeline.pipeline_id, None),
    ]


def test_no_log_line_contains_the_body_of_an_event(caplog: pytest.LogCaptureFixture) -> None:
    pipeline = new_pipeline()
    with caplog.at_level(logging.DEBUG):
        pipeline.update(own={"own_field": "a secret of the pipeline's"})
        pipeline.complete_file("a.pdf", result={"text": "a secret of the file's"})
    assert "secret" not in "".join(logs.JsonFormatter().format(one) for one in caplog.records)


class Redirected(io.StringIO):
    """Stands for the object that rich puts in place of stderr while it draws a live view."""

    def __init__(self, file: Any) -> None:
        super().__init__()
        self.rich_proxied_file = file


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_lines_go_above_a_live_view_or_directly_into_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    handler = logs.StderrHandler()
    for behind, above in ((Tty(), True), (io.StringIO(), False)):
        proxy = Redirected(behind)
        monkeypatch.setattr(sys, "stderr", proxy)
        handler.emit(record("hello"))
        assert (proxy.getvalue(), behind.getvalue()) == (("hello\n", "") if above else ("", "hello\n"))


def test_a_long_line_beside_a_live_view_stays_whole_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console
    from rich.live import Live

    file, screen = io.StringIO(), Screen()
    monkeypatch.setattr(sys, "stderr", file)
    handler = logs.StderrHandler()
    handler.setFormatter(logs.JsonFormatter())
    with Live("the view", console=Console(file=screen, force_terminal=True, width=40), auto_refresh=False):
        handler.emit(record("x" * 500))
    [line] = lines_of(file.getvalue())
    assert line["message"] == "x" * 500


@given(st.text(st.characters(codec=None)))
def test_any_text_makes_one_line_without_control_characters(text: str) -> None:
    line = logs.TextFormatter().format(record("%s is gone", text))
    assert line.isprintable()
    assert len(line.splitlines()) == 1


def test_neither_a_name_nor_an_exception_can_forge_a_line() -> None:
    forged = "a\r\n2026-01-01 00:00:00,000 CRITICAL all is lost\x1b[2J\u2028\u202e\x85\x9b.pdf"
    try:
        raise ServiceError(forged)
    except ServiceError as error:
        made = record("%s failed", forged, error=error)
    made.exc_text = f"kept by another handler: {forged}"
    made.stack_info = forged
    first, *others = logs.TextFormatter().format(made).split("\n")
    assert first.endswith("CRITICAL all is lost\\x1b[2J\\u2028\\u202e\\x85\\x9b.pdf failed")
    assert "WARNING a\\r\\n2026" in first
    assert others[0] == "  Traceback (most recent call last):"
    for line in others:
        assert line.startswith("  ")
        assert line.isprintable()


def test_commands_escape_their_log_lines() -> None:
    code = (
        "import logging; from rag_pipeline.common import logs\n"
        "logs.set_up(20, {}); logging.info('a\\nb\\x1b[1m\\u202e')"
    )
    assert run("-c", code).stderr.endswith(" INFO a\\nb\\x1b[1m\\u202e\n")
