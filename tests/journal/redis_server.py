"""A real ``redis-server`` on a free port that tests can kill, freeze and restart, with or without its data."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.journal import Entry, Generations
from rag_pipeline.journal.redis.address import RedisAddress
from rag_pipeline.journal.redis.connection import RedisConnection
from rag_pipeline.journal.redis.publisher import RedisPublisher
from rag_pipeline.journal.redis.reader import RedisReader, StreamSnapshot
from rag_pipeline.status.pipeline import PipelineStatus, core_of

PROGRAM = shutil.which("redis-server") or shutil.which("valkey-server")
DEADLINE_SECONDS = 60.0

needs_redis = pytest.mark.skipif(
    PROGRAM is None, reason="there is no redis-server (Debian: apt-get install redis-server)"
)


class RedisServer:
    """Keeps its data in an append-only file in ``folder``, so a kill loses nothing that was confirmed."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.port = free_port()
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return self.url_by()

    def url_by(self, port: int | None = None) -> str:
        """Return the URL with another port, such as a proxy's."""
        return f"redis://127.0.0.1:{port or self.port}/0"

    def start(self) -> None:
        """Start or restart the server, and wait until it answers."""
        assert PROGRAM is not None
        self.folder.mkdir(exist_ok=True)
        command = [PROGRAM, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        command += ["--appendonly", "yes", "--save", "", "--logfile", "redis.log", *self._options]
        # By default confirmed data may be written up to 2 s later if the disk is slow.
        command += ["--appendfsync", "always"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not self._answers():
            assert self._process.poll() is None, (self.folder / "redis.log").read_text()
            assert time.monotonic() < deadline, "redis-server did not start"
            time.sleep(0.02)

    def kill(self) -> None:
        """Kill the server."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self, *, empty: bool = False) -> None:
        """Kill and start the server; with ``empty`` its data is removed."""
        self.kill()
        if empty:
            shutil.rmtree(self.folder)
        self.start()

    def freeze(self) -> None:
        """Freeze the server: connections stay open, and the kernel accepts new ones."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Continue after :meth:`freeze`."""
        self._signal(signal.SIGCONT)

    def connection(self) -> RedisConnection:
        """Return a connection to the server."""
        return RedisConnection(RedisAddress(self.url))

    def _signal(self, number: int) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def _answers(self) -> bool:
        # Without a login: any answer will do except that the server is still loading.
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
                connection.sendall(b"GET x\r\n")
                return connection.recv(100)[:5] in (b"$-1\r\n", b"-NOAU", b"-CLUS")
        except OSError:
            return False


@contextmanager
def running(folder: Path, *options: str) -> Iterator[RedisServer]:
    """Run a server; its process is ended in any case."""
    server = RedisServer(folder, *options)
    try:
        server.start()
        yield server
    finally:
        server.kill()


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Follower:
    """A reader with everything it delivered, in total and since the last gap."""

    def __init__(self, url: str, *, prefix: str = "rag", timeout_seconds: float = 3.0) -> None:
        self.entries: list[Entry] = []
        self.since_gap: list[Entry] = []
        self.gaps = 0
        self.later_generations: list[Generations] = []
        self.reader = RedisReader(
            url, self._take, self._gap, self.later_generations.append, prefix=prefix, timeout_seconds=timeout_seconds
        )

    def _take(self, entries: list[Entry]) -> None:
        self.entries += entries
        self.since_gap += entries

    def _gap(self) -> None:
        self.gaps += 1
        self.since_gap = []

    @property
    def snapshot(self) -> StreamSnapshot:
        """The reader's snapshot."""
        assert self.reader.snapshot is not None
        return self.reader.snapshot

    @property
    def events(self) -> list[tuple[str | None, int]]:
        """Pipeline id and ``seq`` of each event, without summaries."""
        return [(entry.event.pipeline_id, entry.event.seq) for entry in self.entries if entry.event.numbered]

    def seqs(self, pipeline_id: str) -> list[int]:
        """Return the ``seq`` of each event of a pipeline."""
        return [seq for name, seq in self.events if name == pipeline_id]


@contextmanager
def following(url: str, *, prefix: str = "rag", timeout_seconds: float = 3.0) -> Iterator[Follower]:
    """Run a reader."""
    follower = Follower(url, prefix=prefix, timeout_seconds=timeout_seconds)
    follower.reader.start()
    try:
        yield follower
    finally:
        assert follower.reader.stop()


@contextmanager
def publishing(
    url: str, *pipelines: PipelineStatus, prefix: str = "rag", timeout_seconds: float = 3.0, **options: Any
) -> Iterator[RedisPublisher]:
    """Run a publisher with the pipelines attached."""
    by_id = {pipeline.pipeline_id: pipeline for pipeline in pipelines}

    def status_of(pipeline_id: str) -> PipelineEvent | None:
        return core_of(by_id[pipeline_id]).status_event() if pipeline_id in by_id else None

    publisher = RedisPublisher(url, status_of, prefix=prefix, timeout_seconds=timeout_seconds, **options).start()
    for pipeline in pipelines:
        core_of(pipeline).attach(publisher)
    try:
        yield publisher
    finally:
        for pipeline in pipelines:
            core_of(pipeline).detach(publisher)
        publisher.stop()
