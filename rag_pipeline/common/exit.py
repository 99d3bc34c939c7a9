"""Run a command, and turn its errors into one line on stderr and an exit code."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TextIO, TypeVar, cast

from rag_pipeline.common.printing import say
from rag_pipeline.errors import ExitCode, RagPipelineError

_T = TypeVar("_T")


def run_command(program: str, command: Callable[[], int], *, last: bool = False) -> int:
    """Run a command and return its exit code; an error of the package becomes one line on stderr.

    An output that can't be written, as on a full disk, is such an error too. A reader that has closed the pipe, as with
    ``| head``, is no error. ``last`` means that the process ends with the command: Ctrl+C after it changes nothing.
    """
    try:
        code = _run_with_stdout(program, command)
        if last:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    return code


def print_error(program: str, message: str) -> None:
    """Print the error on one line of stderr."""
    with suppress(OSError):  # stderr can't be written either: the exit code says it
        say(f"{program}: error: {' '.join(message.split())}", sys.stderr)


class _RecordingStdout:
    """Stdout while a command runs; ``error`` is that of the first write that failed."""

    def __init__(self, stream: TextIO) -> None:
        self.error: OSError | None = None
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        return self._recorded(lambda: self._stream.write(text))

    def flush(self) -> None:
        self._recorded(self._stream.flush)

    def _recorded(self, call: Callable[[], _T]) -> _T:
        try:
            return call()
        except OSError as error:
            self.error = self.error or error
            raise


def _run_with_stdout(program: str, command: Callable[[], int]) -> int:
    if sys.stdout is None:  # closed from the start, as by `>&-`: print does nothing
        return _run(program, command)
    stream = sys.stdout
    output = _RecordingStdout(stream)
    sys.stdout = cast(TextIO, output)
    try:
        code = _run(program, command)
        output.flush()
        return code
    except SystemExit:  # of --help, which hides a failed write
        with suppress(OSError):
            output.flush()
        if output.error is None:
            raise
        return _unwritable(program, stream, output.error)
    except OSError as error:
        if error is not output.error:
            raise
        return _unwritable(program, stream, error)
    finally:
        sys.stdout = stream


def _run(program: str, command: Callable[[], int]) -> int:
    try:
        return command()
    except RagPipelineError as error:
        print_error(program, str(error))
        return error.exit_code


def _unwritable(program: str, stream: TextIO, error: OSError) -> int:
    # Python would complain once more when it flushes at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    if isinstance(error, BrokenPipeError):
        return ExitCode.OK
    print_error(program, f"the output can't be written: {error.strerror}")
    return ExitCode.OUTPUT
