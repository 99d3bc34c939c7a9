"""Python programs that tests start, with their output and exit codes."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from tests.support.waiting import DEADLINE_SECONDS, wait_until

ROOT = Path(__file__).parents[2]


class Program:
    """A running Python process; ``output`` is everything it has written to stdout and stderr."""

    def __init__(self, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        self.output = ""
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=environment(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.output += line

    def expect(self, pattern: str) -> str:
        """Wait until the output matches; return the pattern's first group."""
        try:
            wait_until(lambda: re.search(pattern, self.output) or not self._reader.is_alive())
        except AssertionError:
            raise AssertionError(f"no {pattern!r} in the output:\n{self.output}") from None
        match = re.search(pattern, self.output)
        assert match, f"no {pattern!r} in the output:\n{self.output}"
        return match[1] if match.groups() else match[0]

    @property
    def pid(self) -> int:
        return self._process.pid

    def poll(self) -> int | None:
        """Return the exit code; None while the process runs."""
        return self._process.poll()

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def line(self) -> None:
        """Send an empty line to the program's standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    @staticmethod
    def kill(pid: int) -> None:
        """Kill a process that the program has started."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def end_of_input(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()

    def exit_code(self) -> int:
        code = self._process.wait(DEADLINE_SECONDS)
        self._reader.join(DEADLINE_SECONDS)
        return code

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._reader.join(DEADLINE_SECONDS)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None and not stream.closed:
                stream.close()


def run(
    *arguments: str, env: Mapping[str, str] | None = None, stdout: IO[str] | int = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    """Run a Python program to its end; capture its output, unless ``stdout`` says where it goes."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment(env),
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment without settings of the service, plus ``extra``."""
    ours = re.compile("STATUS_|SOCKET_IO_|RAG_|RUN_MODE$|LOG_FORMAT$|ENVIRONMENT$")
    kept = {key: value for key, value in os.environ.items() if not ours.match(key)}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **(extra or {})}
