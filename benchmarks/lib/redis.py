"""A redis-server of the benchmark's own, for the server whose journal is in Redis."""

from __future__ import annotations

import shutil
import socket
import time
from pathlib import Path

from benchmarks.lib.process import BenchmarkError, JsonProcess

START_SECONDS = 10.0
PROGRAMS = ("redis-server", "valkey-server")


def redis_program() -> str:
    """Return the path of the program; raises :class:`BenchmarkError` if it is not installed."""
    for name in PROGRAMS:
        if (found := shutil.which(name)) is not None:
            return found
    raise BenchmarkError("ours_redis needs redis-server, which was not found (Debian: apt-get install redis-server)")


class RedisServer(JsonProcess):
    """Listens on a free loopback port, and keeps everything in an append-only file in ``folder``.

    ``url`` is its address. It says what goes wrong on stdout; that is kept, and shown in errors.
    """

    def __init__(self, folder: Path) -> None:
        port = _free_port()
        self.url = f"redis://127.0.0.1:{port}/0"
        options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--appendonly", "yes"]
        # Snapshots would fork in the middle of a window; the append-only file is what keeps the events.
        super().__init__("redis-server", [redis_program(), *options, "--save", ""])
        try:
            self._wait_ready(port)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Kill it: its files are the benchmark's own, and are removed; idempotent."""
        self._process.kill()
        super().close()

    def _wait_ready(self, port: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise BenchmarkError(f"redis-server did not start: {self._last_words()}")
            time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
