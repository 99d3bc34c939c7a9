from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rag_pipeline import __version__
from rag_pipeline.cli import health, main
from rag_pipeline.errors import ExitCode, RagPipelineError, StoreError
from tests.journal.redis_server import needs_redis, running
from tests.sources.endpoint import endpoint
from tests.sources.local_files.process import command, process
from tests.support.programs import run


def raising(error: BaseException) -> Any:
    def run(_args: object) -> int:
        raise error

    return run


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"rag-pipeline {__version__}\n"


def test_without_a_command_the_commands_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main([]) == ExitCode.USAGE
    assert capsys.readouterr().err == (
        "rag-pipeline: error: expected a command: local-files, google-drive, run, serve, watch, control, search, "
        "mcp, store, health; see --help\n"
    )


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (StoreError("the store\nis gone"), 6, "rag-pipeline: error: the store is gone\n"),
        (RagPipelineError("broken"), 4, "rag-pipeline: error: broken\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_an_error_of_a_command_is_one_line_and_an_exit_code(
    error: BaseException, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(health, "run", raising(error))
    assert main.main(["health"]) == code
    assert capsys.readouterr().err == said


def test_an_unexpected_exception_propagates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "run", raising(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        main.main(["health"])


def test_help_of_the_module_loads_no_server_and_no_model() -> None:
    code = (
        "import runpy, sys; sys.argv = ['rag-pipeline', '--help']\n"
        "try: runpy.run_module('rag_pipeline', run_name='__main__')\n"
        "except SystemExit as ended: assert ended.code == 0\n"
        "print(sorted({'eventlet', 'numpy', 'lancedb', 'rich', 'socketio'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[2]
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True, cwd=root)
    assert run.stdout.endswith("[]\n")
    assert "local-files" in run.stdout
    assert "watch" in run.stdout
    assert "control" in run.stdout
    assert run.stderr == ""


def test_a_closed_pipe_is_no_error() -> None:
    root = Path(__file__).parents[2]
    code = (
        "import sys; from rag_pipeline.cli import main, health\n"
        "def run(args):\n"
        "    for _ in range(10000): print('x' * 100)\n"
        "    return 0\n"
        "health.run = run\n"
        "sys.exit(main.main(['health']))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=root
    ) as writer:
        assert writer.stdout is not None
        assert writer.stderr is not None
        writer.stdout.readline()
        writer.stdout.close()
        assert writer.wait(60) == 0
        assert writer.stderr.read() == ""


@pytest.mark.slow
@needs_redis
def test_a_second_process_with_one_pipeline_id_is_one_line_and_exit_code_5(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with running(tmp_path / "redis") as redis, endpoint() as api:
        shared = {**api.env, "STATUS_REDIS_URL": redis.url, "RAG_PIPELINE_ID": "papers"}

        def of(name: str) -> dict[str, str]:
            # Each machine has its own state folder; on one machine its lock would refuse the second process.
            return {**shared, "STATUS_STATE_DIR": str(tmp_path / f"state of {name}")}

        with process([str(tmp_path / "one")], of("one")) as first:
            first.wait(lambda state: state["status"] == "idle")
            second = command(["local-files", str(tmp_path / "two")], of("two"))
            assert (second.returncode, second.stdout, second.stderr.count("\n")) == (ExitCode.STATE, "", 1)
            assert second.stderr.startswith("rag-pipeline: error: ")
            assert "papers" in second.stderr
            assert "Redis" not in first.output
            assert first.status()["pipeline_id"] == "papers"
            assert first.end() == 0
        # The id is free again at once.
        assert command(["local-files", str(tmp_path / "two"), "--once"], of("two")).returncode == 0


def test_a_misspelled_variable_is_one_warning() -> None:
    done = run("-m", "rag_pipeline", "store", "list", env={"RAG_STORE_URI": "x", "STATUS_STATE_DIR": "/nowhere"})
    warnings = [line for line in done.stderr.splitlines() if "RAG_STORE_URI" in line]
    assert len(warnings) == 1
    assert warnings[0].endswith("have no effect: RAG_STORE_URI (did you mean RAG_STORE_URL?)")
