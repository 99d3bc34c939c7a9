from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from rag_pipeline.common.exit import run_command
from rag_pipeline.errors import ExitCode, StoreError
from tests.support.programs import run

COMMAND = """
import sys
from rag_pipeline.common.exit import run_command
from rag_pipeline.errors import StoreError
def command():
    print("x" * {size})
    {then}
sys.exit(run_command("tool", command, last=True))
"""
UNWRITABLE = "tool: error: the output can't be written: No space left on device\n"


def raising(error: BaseException) -> Callable[[], int]:
    def command() -> int:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [(StoreError("it\nis gone"), ExitCode.STORE, "tool: error: it is gone\n"), (KeyboardInterrupt(), 130, "")],
)
def test_a_command_ends_with_one_line_and_its_exit_code(
    error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command("tool", raising(error)) == code
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("error", [ZeroDivisionError(), FileNotFoundError("ours")])
def test_an_unexpected_error_keeps_its_traceback(error: Exception) -> None:
    with pytest.raises(type(error)):
        run_command("tool", raising(error))


@pytest.mark.slow
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("size", [1, 1_000_000])
@pytest.mark.parametrize("then", ["return 0", "raise StoreError('gone')", "raise SystemExit(0)"])
def test_a_full_disk_is_one_error_line_whenever_it_is_noticed(size: int, then: str, unbuffered: str) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        done = run("-c", COMMAND.format(size=size, then=then), env={"PYTHONUNBUFFERED": unbuffered}, stdout=full)
    assert done.returncode == ExitCode.OUTPUT
    assert done.stderr.endswith(UNWRITABLE)
    assert "Traceback" not in done.stderr
    assert "ignored" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("size", [1, 1_000_000])
def test_a_closed_pipe_is_no_error(size: int, unbuffered: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as gone:
        done = run("-c", COMMAND.format(size=size, then="return 0"), env={"PYTHONUNBUFFERED": unbuffered}, stdout=gone)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize("program", ["status_server.py", "test_websocket.py", "-mrag_pipeline"])
def test_help_that_cannot_be_written_is_an_error(program: str) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        done = run(program, "--help", stdout=full)
    assert done.returncode == ExitCode.OUTPUT
    assert done.stderr.count("\n") == 1


def test_a_command_runs_without_stdout() -> None:
    code = "import sys; sys.stdout = None\n" + COMMAND.format(size=1, then="return 6")
    done = run("-c", code)
    assert (done.returncode, done.stderr) == (6, "")


def test_ctrl_c_after_the_last_command_changes_nothing() -> None:
    late = "import atexit, os, signal; atexit.register(os.kill, os.getpid(), signal.SIGINT)\n"
    done = run("-c", late + COMMAND.format(size=1, then="return 0"))
    assert (done.returncode, done.stderr) == (0, "")


def test_a_command_inside_a_program_restores_the_handler_of_ctrl_c() -> None:
    before = signal.getsignal(signal.SIGINT)
    assert run_command("tool", lambda: 0) == 0
    assert signal.getsignal(signal.SIGINT) is before


# Ctrl+C at the moment a module is imported.
EARLY = """
import importlib.abc, os, runpy, signal, sys
class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
sys.path.insert(0, ".")
sys.argv = [{program!r}, "--help"]
run = runpy.run_path if {program!r}.endswith(".py") else runpy.run_module
run({program!r}, run_name="__main__")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "module"),
    [
        ("status_server.py", "rag_pipeline.service"),
        ("status_server.py", "rag_pipeline.cli.status_server"),
        ("test_websocket.py", "rag_pipeline.service"),
        ("test_websocket.py", "tests.verify"),
        ("rag_pipeline", "rag_pipeline.cli.main"),
        ("rag_pipeline", "rag_pipeline.status"),
        ("rag_pipeline", "rag_pipeline.sources.local_files.pipeline"),
    ],
)
def test_ctrl_c_during_imports_ends_without_a_traceback(program: str, module: str) -> None:
    done = run("-c", EARLY.format(program=program, module=module))
    assert (done.returncode, done.stdout, done.stderr) == (ExitCode.INTERRUPTED, "", "")
