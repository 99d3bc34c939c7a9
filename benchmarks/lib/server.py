"""A server under test: started as a process, commanded over stdin, with its event numbers kept rising."""

from __future__ import annotations

import json
import os
import shutil
import sys
from typing import Any

from benchmarks.lib.process import ROOT, BenchmarkError, JsonProcess

SERVERS = ("ours", "node", "eventlet", "threading", "asgi")
"""In the order they are measured and shown."""

_MODULES = {
    "ours": "benchmarks.servers.ours",
    "eventlet": "benchmarks.servers.stock_eventlet",
    "threading": "benchmarks.servers.stock_threading",
    "asgi": "benchmarks.servers.stock_asgi",
}


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
    """One server process; ``next_n`` is the number its next event gets."""

    def __init__(self, name: str) -> None:
        # Only what a server needs: settings of the user's own must not change what is measured.
        env = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV") if key in os.environ}
        super().__init__(name, command_of(name), env=env)
        try:
            hello = self.expect("ready", True, 30)
        except BaseException:
            self.close()
            raise
        self.port: int = hello["port"]
        self.versions: dict[str, str] = hello["versions"]
        self.next_n = 0

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
