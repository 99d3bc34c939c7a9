"""Kills at any moment: clients resume where they were, and nothing is lost or done twice."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from collections.abc import Container, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from rag_pipeline.contract import events
from tests.socket_server.support import ClientClosedError, WebSocketSession
from tests.support.http_get import get_json
from tests.support.programs import ROOT, environment
from tests.support.state_client import StateClient, without_volatile

pytestmark = pytest.mark.slow

KILLS = 20
FILES = 6000
WORKERS = 3


class Killable:
    """A running :mod:`tests.recovery.killed_program`."""

    def __init__(self, state: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.recovery.killed_program", str(state), str(FILES), str(WORKERS)],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.socket_port, self.http_port = map(int, self._process.stdout.readline().split())

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(30)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()


@contextmanager
def running(state: Path) -> Iterator[Killable]:
    program = Killable(state)
    try:
        yield program
    finally:
        program.kill()


class StoredStatuses(Container[int]):
    """The ``seq`` of each status in the journal: missed statuses that are superseded are not sent."""

    def __init__(self, state: Path) -> None:
        self._path = state / "journal.sqlite3"

    def __contains__(self, seq: object) -> bool:
        with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)) as db:
            found = db.execute("SELECT 1 FROM events WHERE seq = ? AND name = ?", (seq, events.STATUS)).fetchone()
        return found is not None


class Follower:
    """A client that outlives its server: it resumes from the last offset, and checks that every event comes once."""

    def __init__(self, state: Path) -> None:
        self.client = StateClient(superseded=StoredStatuses(state))
        self.offset: str | None = None
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.recovered: list[bool | None] = []

    def read(self, session: WebSocketSession, count: int) -> None:
        """Follow this number of packets, or until the server is gone."""
        for _ in range(count):
            try:
                _, name, payload = session.receive_event()
            except (TimeoutError, ClientClosedError):
                return
            self.client.follow(name, payload)  # without gaps or repetition, in one epoch
            self.offset = payload["offset"]
            if "recovered" in payload:
                self.recovered.append(payload["recovered"])
            self.seen.append((name, payload))

    def connect(self, port: int) -> WebSocketSession:
        return WebSocketSession(port, auth=None if self.offset is None else {"offset": self.offset})

    def of(self, name: str) -> list[dict[str, Any]]:
        return [payload["file"] for seen, payload in self.seen if seen == name]


def test_after_each_of_twenty_kills_a_client_that_resumes_has_every_event_once(tmp_path: Path) -> None:
    chance = random.Random(20)
    follower = Follower(tmp_path)
    for _ in range(KILLS):
        with running(tmp_path) as program, follower.connect(program.socket_port) as session:
            follower.read(session, chance.randrange(1, 250))
            program.kill()
            follower.read(session, 1_000_000)  # what was sent before the kill
        assert not (tmp_path / "finished").exists(), "the kills must come in the middle"
    # A client that is disconnected again while it catches up is not told that it has caught up.
    assert all(follower.recovered)
    assert len(follower.recovered) > KILLS // 2

    with running(tmp_path) as program, follower.connect(program.socket_port) as session:
        # The status is no sign: at its start, too, a process is idle.
        while not (tmp_path / "finished").exists():
            follower.read(session, 1)
        state = get_json(program.http_port, "/status").body
        while (follower.client.state or {})["seq"] < state["seq"]:
            follower.read(session, 1)
    assert without_volatile(follower.client.state or {}) == without_volatile(state)
    assert len(follower.seen) > 10 * KILLS

    stored = {path.name for path in (tmp_path / "stored").iterdir()}
    assert stored == {f"file-{number}" for number in range(FILES)}
    completed = follower.of(events.FILE_COMPLETED)
    interrupted = follower.of(events.FILE_FAILED)
    # Events killed before they were in the journal were shown to nobody, but the work of their files was done.
    unseen = stored - {file["id"] for file in completed}
    print(f"{len(follower.seen)} events, {len(interrupted)} files interrupted, {len(unseen)} done and not shown")
    assert len(unseen) < FILES / 20
    assert {file["error"]["type"] for file in interrupted} == {"Interrupted"}
    assert all(file["error"]["retryable"] for file in interrupted)
    # An interrupted attempt is followed by the next one, which is numbered, unless its events were not seen.
    tried = {file["id"]: file["attempt"] for file in completed}
    assert all(tried[file["id"]] > file["attempt"] for file in interrupted if file["id"] not in unseen)
    assert state["files_in_flight"] == 0
    # Each file counts once, by its newest outcome; a file redone after a kill was completed twice.
    done = {file["id"] for file in completed}
    assert state["total_processed"] == len(done)
    assert state["total_failed"] == len({file["id"] for file in interrupted} - done)
