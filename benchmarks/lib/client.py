"""The counting client: builds it from C on first use, starts it, asks it for its figures."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.lib.process import BenchmarkError, JsonProcess

SOURCES = Path(__file__).resolve().parents[1] / "client"
FLAGS = ("-O2", "-std=gnu11", "-Wall", "-Wextra")


def build() -> Path:
    """Compile the client unless this very source is compiled already; return the program's path."""
    sources = sorted(SOURCES.glob("*.c"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(SOURCES.glob("*.[ch]")))).hexdigest()[:16]
    program = Path(tempfile.gettempdir()) / f"rag-pipeline-benchmarks-{os.getuid()}" / f"counter-{digest}"
    if program.exists():
        return program
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise BenchmarkError("the counting client needs a C compiler: gcc was not found")
    program.parent.mkdir(mode=0o700, exist_ok=True)
    fresh = program.with_name(f"{program.name}.{os.getpid()}")
    built = subprocess.run(
        [compiler, *FLAGS, "-o", str(fresh), *map(str, sources)], capture_output=True, text=True, check=False
    )
    if built.returncode:
        raise BenchmarkError(f"the counting client does not compile: {built.stderr.strip()}")
    fresh.replace(program)
    return program


@dataclass(frozen=True, slots=True)
class Crowd:
    """Which clients connect. The stalled ones come on top; they join, then read nothing more.

    With ``resume_from``, an offset, all were there before: they connect when the counting begins, and ask for what
    came after it.
    """

    websocket: int = 0
    polling: int = 0
    stalled: int = 0
    receive_buffer_bytes: int = 0
    stalled_receive_buffer_bytes: int = 0
    resume_from: str | None = None

    def arguments(self) -> list[str]:
        """Return the client's command line for it."""
        auth = json.dumps({"offset": self.resume_from}, separators=(",", ":"))
        return [
            *([] if self.resume_from is None else [f"--auth={auth}"]),
            f"--websocket={self.websocket}",
            f"--polling={self.polling}",
            f"--stall={self.stalled}",
            f"--rcvbuf={self.receive_buffer_bytes}",
            f"--stall-rcvbuf={self.stalled_receive_buffer_bytes}",
        ]


class CountingClient(JsonProcess):
    """One process that is all the clients."""

    def __init__(self, port: int, crowd: Crowd) -> None:
        self.crowd = crowd
        super().__init__("counting client", [str(build()), f"--port={port}", *crowd.arguments()])

    def wait_ready(self, timeout_seconds: float) -> None:
        """Wait until every client has joined; raises when one was refused."""
        ready = self.expect("event", "ready", timeout_seconds)
        self._check_joined(ready)

    def begin(self, first: int, count: int, *, missed: int = 0) -> None:
        """Start counting the events numbered from ``first``; clients that resume have missed so many of them."""
        self.send(f"begin {first} {count} {missed}")
        self.expect("event", "begun", 10)

    def wait_done(self, timeout_seconds: float) -> bool:
        """Wait until every client has all events of the window; False when that does not happen in time."""
        try:
            self.expect("event", "done", timeout_seconds)
        except BenchmarkError:
            if self._process.poll() is not None:
                raise
            return False
        return True

    def report(self) -> dict[str, Any]:
        """Return the window's figures, in the shape of client/stats.c; raises when a client was refused."""
        self.send("report")
        report = self.expect("event", "report", 10)
        self._check_joined(report)
        return report

    def _check_joined(self, report: dict[str, Any]) -> None:
        if report["failed"]:
            raise BenchmarkError(f"{report['failed']} clients could not join: {self._last_words()}")
