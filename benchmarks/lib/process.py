"""A child process that talks JSON lines, waits with deadlines, and never outlives the runner."""

from __future__ import annotations

import ctypes
import json
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
LAST_WORDS_SECONDS = 0.5

_libc = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


class BenchmarkError(RuntimeError):
    """A process of the benchmark did not do what it was asked to, in time."""


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class JsonProcess:
    """Starts ``command`` in the repository's root and reads its stdout as one JSON object a line.

    A context manager: on leaving, the process is asked to quit, then killed. Its stderr is kept and shown in errors.
    """

    def __init__(self, name: str, command: Sequence[str], *, env: dict[str, str] | None = None) -> None:
        self.name = name
        self._lines: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._errors: list[str] = []
        # An own session: Ctrl+C reaches the runner alone, which then ends its children in order.
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=_die_with_parent,  # even a killed runner leaves no server behind
        )
        self._readers = [
            threading.Thread(target=self._read_answers, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def send(self, line: str) -> None:
        """Write one line; raises :class:`BenchmarkError` if the process is gone."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise BenchmarkError(f"{self.name} ended: {self._last_words()}") from error

    def receive(self, timeout_seconds: float) -> dict[str, Any] | None:
        """Return the next answer, or None when there is none in time; raises when the process has ended."""
        try:
            answer = self._lines.get(timeout=max(0.0, timeout_seconds))
        except queue.Empty:
            return None
        if answer is None:
            raise BenchmarkError(f"{self.name} ended: {self._last_words()}")
        return answer

    def expect(self, key: str, value: object, timeout_seconds: float) -> dict[str, Any]:
        """Return the next answer in which ``key`` is ``value``, passing over others; raises when it does not come."""
        deadline = time.monotonic() + timeout_seconds
        while (answer := self.receive(deadline - time.monotonic())) is not None:
            if answer.get(key) == value:
                return answer
        raise BenchmarkError(f"{self.name}: no {key}={value!r} within {timeout_seconds:g} s; {self._last_words()}")

    def end_input(self) -> None:
        """Close the process's stdin, which asks it to quit; idempotent."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
        except OSError:
            pass

    def close(self) -> None:
        """Ask the process to quit by closing its stdin, and kill it after two seconds; idempotent."""
        self.end_input()
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        for reader in self._readers:
            reader.join(2)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _last_words(self) -> str:
        # What it wrote just before it answered or ended may still be in the pipe.
        deadline = time.monotonic() + LAST_WORDS_SECONDS
        while not self._errors and self._readers[1].is_alive() and time.monotonic() < deadline:
            self._readers[1].join(0.01)
        return " | ".join(self._errors[-5:]) or "it said nothing on stderr"

    def _read_answers(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                self._lines.put(json.loads(line))
            except ValueError:
                self._errors.append(line.strip())
        self._lines.put(None)

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._errors.append(line.strip())
            del self._errors[:-50]
