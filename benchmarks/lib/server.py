"""A server under test: started as a process, commanded over stdin, with its event numbers kept rising."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.lib.process import ROOT, BenchmarkError, JsonProcess
from benchmarks.lib.redis import RedisServer

PEERS = ("ours", "node", "eventlet", "threading", "asgi")
"""Ours as a library starts it, its journal in memory, and what does the same job."""
JOURNALS = ("ours", "ours_sqlite", "ours_redis")
"""Ours with each of its journals."""
SERVERS = tuple(dict.fromkeys(PEERS + JOURNALS))
"""In the order they are measured and shown."""

_MODULES = {
    **dict.fromkeys(JOURNALS, "benchmarks.servers.ours"),
    "eventlet": "benchmarks.servers.stock_eventlet",
    "threading": "benchmarks.servers.stock_threading",
    "asgi": "benchmarks.servers.stock_asgi",
}
_JOURNAL_KINDS = {"ours": "memory", "ours_sqlite": "sqlite", "ours_redis": "redis"}


def command_of(name: str) -> list[str]:
    """Return the command line that starts the server."""
    if name != "node":
        return [sys.executable, "-m", _MODULES[name]]
    node = shutil.which("node")
    if node is None:
        raise BenchmarkError("the Node peer needs node, which was not found")
    if not (ROOT / "benchmarks" / "node_modules" / "socket.io").is_dir():
        raise BenchmarkError("the Node peer needs its packages: npm ci --prefix benchmarks")
    return [node, str(ROOT / "benchmarks" / "servers" / "node_server.js")]


class Server(JsonProcess):
    """One server process; ``next_n`` is the number its next event gets.

    What its journal needs is started first and removed at the end: a folder, or ``redis``, a server in one.
    ``http_port`` is where ours answers HTTP, None for a peer.
    """

    def __init__(self, name: str) -> None:
        self.redis: RedisServer | None = None
        with ExitStack() as journal:
            # Only what a server needs: settings of the user's own must not change what is measured.
            kept = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV")
            env = {key: os.environ[key] for key in kept if key in os.environ}
            super().__init__(name, command_of(name), env=env | self._open_journal(name, journal))
            journal.callback(super().close)
            hello = self.expect("ready", True, 30)
            self._journal = journal.pop_all()
        self.port: int = hello["port"]
        self.http_port: int | None = hello.get("http_port")
        self.versions: dict[str, str] = hello["versions"]
        self.next_n = 0

    def close(self) -> None:
        """End the process, then what its journal needed; idempotent."""
        self._journal.close()

    def start(self, command: str, **fields: Any) -> None:
        """Give a command without waiting for its end."""
        self.send(json.dumps({"cmd": command, **fields}))

    def finish(self, timeout_seconds: float) -> dict[str, Any]:
        """Wait for the end of the command given last; return its answer."""
        answer = self.receive(timeout_seconds)
        if answer is None or not answer.get("ok"):
            raise BenchmarkError(f"{self.name}: the command did not end well within {timeout_seconds:g} s: {answer}")
        return answer

    def take(self, count: int) -> int:
        """Reserve ``count`` event numbers; return the first."""
        first = self.next_n
        self.next_n += count
        return first

    def get(self, path: str) -> dict[str, Any]:
        """Return what ours answers to a GET, as JSON."""
        address = f"http://127.0.0.1:{self.http_port}{path}"
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                body: dict[str, Any] = json.load(answer)
        except (OSError, ValueError) as error:
            raise BenchmarkError(f"{self.name}: GET {path}: {error}") from error
        return body

    def check_journal(self) -> None:
        """Raise if ours does not keep its events where its name says: it goes on in memory when its journal fails."""
        if self.http_port is None:
            return
        journal = self.get("/health")["journal"]
        if (journal["kind"], journal["status"]) != (_JOURNAL_KINDS[self.name], "ok"):
            raise BenchmarkError(f"{self.name}: its journal is not what is to be measured: {journal}")

    def _open_journal(self, name: str, stack: ExitStack) -> dict[str, str]:
        """Start what the journal needs; return the settings that name it."""
        if name not in ("ours_sqlite", "ours_redis"):
            return {}
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rag-pipeline-journal-")))
        if name == "ours_sqlite":
            return {"STATUS_STATE_DIR": str(folder)}
        self.redis = stack.enter_context(RedisServer(folder))
        return {"STATUS_REDIS_URL": self.redis.url}
