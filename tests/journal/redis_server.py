"""A real ``redis-server`` of the test's own on a free port: killed, stopped, restarted with or without its file."""

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

from rag_pipeline.contract.events import Event
from rag_pipeline.journal import Entry, Lineage
from rag_pipeline.journal.redis.address import Address
from rag_pipeline.journal.redis.connection import Link
from rag_pipeline.journal.redis.publisher import RedisPublisher
from rag_pipeline.journal.redis.reader import RedisReader
from rag_pipeline.status import PipelineStatus, core_of

PROGRAM = shutil.which("redis-server") or shutil.which("valkey-server")
DEADLINE_SECONDS = 60.0

needs_redis = pytest.mark.skipif(
    PROGRAM is None, reason="there is no redis-server (Debian: apt-get install redis-server)"
)


class RedisServer:
    """Keeps its data in ``folder`` in an append-only file, so that a kill loses nothing that was confirmed."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.port = free_port()
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return self.url_by()

    def url_by(self, port: int | None = None) -> str:
        """Return the URL by way of another port."""
        return f"redis://127.0.0.1:{port or self.port}/0"

    def start(self) -> None:
        """Start it, or start it again, and wait until it answers."""
        assert PROGRAM is not None
        self.folder.mkdir(exist_ok=True)
        command = [PROGRAM, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        command += ["--appendonly", "yes", "--save", "", "--logfile", "redis.log", *self._options]
        # By default what was confirmed may wait for up to 2 s to be written, while the disk is slow.
        command += ["--appendfsync", "always"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not self._answers():
            assert self._process.poll() is None, (self.folder / "redis.log").read_text()
            assert time.monotonic() < deadline, "redis-server did not start"
            time.sleep(0.02)

    def kill(self) -> None:
        """End it as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self, *, empty: bool = False) -> None:
        """Kill it and start it again, without what it had if it is to be empty."""
        self.kill()
        if empty:
            shutil.rmtree(self.folder)
        self.start()

    def freeze(self) -> None:
        """Let it stand still: it still has its connections, and the kernel still takes new ones for it."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def link(self) -> Link:
        """Return a connection to it."""
        return Link(Address(self.url))

    def _signal(self, number: int) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def _answers(self) -> bool:
        # Asked without a login: an answer of any kind will do, but not that it is still loading.
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
                connection.sendall(b"GET x\r\n")
                return connection.recv(100)[:5] in (b"$-1\r\n", b"-NOAU", b"-CLUS")
        except OSError:
            return False


@contextmanager
def running(folder: Path, *options: str) -> Iterator[RedisServer]:
    """Run a server; at the end its process has ended, whatever was done to it."""
    server = RedisServer(folder, *options)
    try:
        server.start()
        yield server
    finally:
        server.kill()


def free_port() -> int:
    """Return a port that is free."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Follower:
    """A reader, and everything it delivered: since the last gap, and all in all."""

    def __init__(self, url: str, *, prefix: str = "rag", timeout_seconds: float = 3.0) -> None:
        self.entries: list[Entry] = []
        self.since_gap: list[Entry] = []
        self.gaps = 0
        self.lineages: list[Lineage] = []
        self.reader = RedisReader(
            url, self._take, self._gap, self.lineages.append, prefix=prefix, timeout_seconds=timeout_seconds
        )

    def _take(self, entries: list[Entry]) -> None:
        self.entries += entries
        self.since_gap += entries

    def _gap(self) -> None:
        self.gaps += 1
        self.since_gap = []

    @property
    def events(self) -> list[tuple[str | None, int]]:
        """Pipeline and ``seq`` of each event, statuses that only sum up left out."""
        return [(entry.event.pipeline_id, entry.event.seq) for entry in self.entries if entry.event.numbered]

    def seqs(self, pipeline_id: str) -> list[int]:
        """Return the ``seq`` of each event of a pipeline."""
        return [seq for name, seq in self.events if name == pipeline_id]


@contextmanager
def following(url: str, *, prefix: str = "rag", timeout_seconds: float = 3.0) -> Iterator[Follower]:
    """Follow from now on."""
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
    """Publish the pipelines."""
    by_id = {pipeline.pipeline_id: pipeline for pipeline in pipelines}

    def status_of(pipeline_id: str) -> Event | None:
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
