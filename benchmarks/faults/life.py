"""The pipeline's process, over and over: started, asked, killed and stopped."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.lib.process import BenchmarkError
from tests.support.programs import Program

PIPELINE_ID = "papers"
START_SECONDS = 90.0
STOP_SECONDS = 60.0


class Life:
    """One process after another over the same state; ``on_death`` is called when one has ended, in whatever way."""

    def __init__(
        self, arguments: Sequence[str], env: Mapping[str, str], faults: Path, on_death: Callable[[], None]
    ) -> None:
        self.starts = 0
        self.exits: list[int] = []
        self._arguments = arguments
        self._env = {
            **env,
            "FAULTS_FILE": str(faults),
            "RAG_PIPELINE_ID": PIPELINE_ID,
            "STATUS_PORT": "0",
            "STATUS_CONTROL": "1",
        }
        self._faults = faults
        self._on_death = on_death
        self._program: Program | None = None
        self._port = 0
        self.fail({})

    def fail(self, shares: Mapping[str, float]) -> None:
        """Have so many of the calls of each kind fail in the process; see the launcher."""
        new = self._faults.with_suffix(".new")
        new.write_text(json.dumps(shares))
        new.replace(self._faults)

    def start(self) -> None:
        """Start a process and wait for its service; one that ends before is started again, five times."""
        for _ in range(5):
            self._program = Program("-m", "benchmarks.faults.launcher", *self._arguments, env=self._env)
            self.starts += 1
            with suppress(AssertionError):
                self._port = int(self._program.expect(r"Status +http://127\.0\.0\.1:(\d+)/status"))
                return
            self._ended()
        raise BenchmarkError(f"the pipeline does not start; its exit codes were {self.exits}")

    def mind(self) -> bool:
        """Start a process if there is none that lives; return whether that was so."""
        if self.is_alive:
            return False
        self._ended()
        self.start()
        return True

    @property
    def is_alive(self) -> bool:
        """Whether the process lives."""
        return self._program is not None and self._program.poll() is None

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self._program is not None
        return self._program.pid

    def kill(self) -> None:
        """End the process as a crash does."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Ask the process to end; return its exit code."""
        return self._end(signal.SIGTERM)

    def close(self) -> None:
        """End whatever runs."""
        if self._program is not None:
            self._program.__exit__()

    def output(self) -> str:
        """Return what the process has written so far."""
        return "" if self._program is None else self._program.output

    def status(self) -> dict[str, Any]:
        """Return the pipeline's state; empty if there is no answer."""
        return self._ask("/status")

    def failures(self) -> list[dict[str, Any]]:
        """Return the failed files."""
        found: list[dict[str, Any]] = self._ask("/files?status=failed&limit=1000").get("files", [])
        return found

    def events(self) -> list[dict[str, Any]]:
        """Return all events that the journal has."""
        found: list[dict[str, Any]] = []
        since = ""
        for _ in range(1000):
            page = self._ask(f"/events?limit=1000{since}")
            found += page.get("events", [])
            if not page.get("more"):
                break
            since = f"&since={page['next']}"
        return found

    def control(self, action: str, file_id: str | None = None) -> bool:
        """Ask the pipeline for something; return whether it was accepted."""
        body = json.dumps({} if file_id is None else {"file": file_id}).encode()
        return bool(self._ask(f"/control/{PIPELINE_ID}/{action}", body))

    def _ask(self, path: str, body: bytes | None = None) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}{path}", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                found: dict[str, Any] = json.loads(answer.read())
                return found
        except (OSError, ValueError, urllib.error.URLError):
            return {}

    def _end(self, number: signal.Signals) -> int:
        if not self.is_alive:  # it has died by itself
            self.mind()
        assert self._program is not None
        self._program.signal(number)
        return self._ended()

    def _ended(self) -> int:
        assert self._program is not None
        code = self._program.exit_code()
        self._program.__exit__()
        self.exits.append(code)
        self._on_death()
        return code


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                found += map(int, (task / "children").read_text().split())
    return found


def freeze(pids: Sequence[int], number: signal.Signals) -> None:
    """Send a signal to processes that may be gone."""
    for pid in pids:
        with suppress(OSError):
            os.kill(pid, number)


def wait_until(condition: Callable[[], object], seconds: float) -> bool:
    """Return whether the condition holds within so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.05)
    return True
