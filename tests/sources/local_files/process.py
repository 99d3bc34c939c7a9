"""``rag-pipeline local-files`` as a process, and a client of its service."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.contract.checking import check_answer, check_event
from tests.support.ordered_client import OrderedClient
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[3]
SECONDS = 300.0

EVENTS = (
    "pipeline:status",
    "pipeline:file_processing_started",
    "pipeline:file_progress",
    "pipeline:file_completed",
    "pipeline:file_failed",
    "pipeline:file_skipped",
    "pipeline:file_deleted",
)


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return an environment with only the given settings of the service."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("RAG_", "STATUS_", "EMBEDDING_"))}
    return {**env, "PYTHONPATH": str(ROOT), "STATUS_PORT": "0", **extra}


def command(
    args: Sequence[str], env: Mapping[str, str], *, prefix: Sequence[str] = (), cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``rag-pipeline`` to its end; ``prefix`` is a command that starts it."""
    return subprocess.run(
        [*prefix, sys.executable, "-m", "rag_pipeline", *args],
        env=environment(env),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def found(question: str, env: Mapping[str, str], state_dir: Path, limit: int = 100) -> list[dict[str, Any]]:
    """Return the hits of ``rag-pipeline search``."""
    run = command(["search", question, "--json", "--limit", str(limit), "--state-dir", str(state_dir)], env)
    assert run.returncode == 0, run.stderr
    hits: list[dict[str, Any]] = json.loads(run.stdout)
    return hits


class Process:
    """The running command; ``output`` grows with what it prints."""

    def __init__(self, args: Sequence[str], env: Mapping[str, str], **kwargs: Any) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "rag_pipeline", "local-files", *args],
            env=environment(env),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **kwargs,
        )
        self.output = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            self.output += line

    def address(self, what: str) -> str:
        """Return an address that the command printed."""
        wait_until(lambda: self._address(what) is not None or self.popen.poll() is not None, seconds=SECONDS)
        address = self._address(what)
        assert address is not None, self.output
        return address

    def _address(self, what: str) -> str | None:
        match = re.search(rf"^{re.escape(what)} +(http://[^\s]+)[ \n]", self.output, re.MULTILINE)
        return match[1] if match else None

    def status(self) -> dict[str, Any]:
        """Return the answer of ``GET /status``."""
        with urllib.request.urlopen(self.address("Status"), timeout=60) as answer:
            body = answer.read()
        check_answer("/status", answer.status, answer.headers, body)
        state: dict[str, Any] = json.loads(body)
        return state

    def wait(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the first status for which the condition holds."""
        states: list[dict[str, Any]] = []

        def holds() -> bool:
            assert self.popen.poll() is None, self.output
            states[:] = [self.status()]
            return condition(states[0])

        wait_until(holds, seconds=SECONDS)
        return states[0]

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, and return the exit code."""
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        code = self.popen.wait(SECONDS)
        self._reader.join(SECONDS)
        return code


@contextmanager
def process(args: Sequence[str], env: Mapping[str, str], **kwargs: Any) -> Iterator[Process]:
    """Run ``rag-pipeline local-files``; it never outlives the block."""
    running = Process(args, env, **kwargs)
    try:
        yield running
    finally:
        running.popen.kill()
        running.popen.wait(SECONDS)
        assert running.popen.stdout is not None
        running._reader.join(SECONDS)
        running.popen.stdout.close()


class Watcher:
    """A Socket.IO client of one namespace that keeps every event."""

    def __init__(self, address: str, namespace: str = "/local_files") -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.client = OrderedClient(reconnection=False)
        for name in EVENTS:
            self.client.on(name, self._keeper(name), namespace=namespace)
        self.client.connect(address, namespaces=[namespace], transports=["websocket"], wait_timeout=60)

    def _keeper(self, name: str) -> Callable[[dict[str, Any]], None]:
        return lambda body: self.events.append((name, body))

    def of(self, file: str) -> list[tuple[str, dict[str, Any]]]:
        """Return the events of one file."""
        return [(name, body["file"]) for name, body in self.events.copy() if body.get("file", {}).get("id") == file]

    def names(self, file: str) -> list[str]:
        return list(dict.fromkeys(name.removeprefix("pipeline:file_") for name, _ in self.of(file)))

    def statuses(self) -> list[str]:
        return list(dict.fromkeys(b["status"] for name, b in self.events.copy() if name == "pipeline:status"))

    def close(self) -> None:
        self.client.disconnect()
        for name, body in self.events:
            check_event(name, body)
