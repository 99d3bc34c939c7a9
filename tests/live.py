"""Help for tests against running servers and programs: questions over HTTP, waits with a deadline, processes."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from tests.contract.checking import check_answer

ROOT = Path(__file__).parents[1]
DEADLINE_SECONDS = 120.0


class Reply(NamedTuple):
    status: int
    body: Any


def ask(port: int, path: str, host: str = "127.0.0.1") -> Reply:
    connection = http.client.HTTPConnection(host, port, timeout=DEADLINE_SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
        check_answer(path, response.status, dict(response.getheaders()), body)
        return Reply(response.status, json.loads(body))
    finally:
        connection.close()


def wait_until(condition: Callable[[], object], what: str = "what was waited for") -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.01)


def native_threads() -> int:
    """Return how many threads the process has; ``threading`` keeps names of native ones that ended."""
    return len(list(Path("/proc/self/task").iterdir()))


@contextmanager
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def free_pair() -> int:
    """Return a port that is free, as is the next."""
    for _ in range(100):
        with taken_port() as port:
            pass
        with socket.socket() as first, socket.socket() as second:
            try:
                first.bind(("127.0.0.1", port))
                second.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port
    raise AssertionError("no two free ports in a row")


class Program:
    """A Python process of the test, with all it writes to stdout and stderr."""

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
        wait_until(lambda: re.search(pattern, self.output) or not self._reader.is_alive(), f"{pattern!r} in the output")
        match = re.search(pattern, self.output)
        assert match, self.output
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
        """Have a `readline` of the program return."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    @staticmethod
    def kill(pid: int) -> None:
        """End a process that the program has started."""
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
    """Run a Python program to its end; its output is kept unless it is to go to ``stdout``."""
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
    """Return this process's environment without settings of the service, and with the given ones."""
    ours = re.compile("STATUS_|SOCKET_IO_|RAG_|RUN_MODE$|LOG_FORMAT$|ENVIRONMENT$")
    kept = {key: value for key, value in os.environ.items() if not ours.match(key)}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **(extra or {})}
