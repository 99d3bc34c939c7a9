"""Scans of an idle folder change only the times."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.drive import DriveServer
from tests.sources.endpoint import endpoint
from tests.sources.local_files.process import Watcher
from tests.sources.restarts import Command, Service

pytestmark = pytest.mark.slow

LOOKS = 8


@pytest.fixture(params=["local-files", "google-drive", "run"])
def command(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Command]:
    with DriveServer() as server, endpoint() as api:
        yield Command(request.param, tmp_path, api.env, server)


def test_scans_that_find_nothing_add_no_entries_to_the_journal(command: Command) -> None:
    command.write("one.txt", "the lighthouse keeper")
    with command.program() as program:
        service = Service(program)
        watcher = Watcher(program.expect(r"Socket\.IO +(http://127\.0\.0\.1:\d+)"), "/pipeline")
        service.wait(lambda s: s["status"] == "idle" and s["total_processed"] == 1, command.ids, "the work")
        wait_for_scans(service, command)  # until the end of the work is in the journal
        before, kept = service.states(), events_in(command)
        for _ in range(LOOKS):
            wait_for_scans(service, command)
        after = service.states()
        seen = [body for name, body in watcher.events if name == "pipeline:status"]
        watcher.close()
        for one in command.ids:
            assert after[one]["seq"] == before[one]["seq"]
            assert after[one]["last_check_time"] > before[one]["last_check_time"]
            quiet = [body for body in seen if body["pipeline_id"] == one and body["seq"] >= before[one]["seq"]]
            assert {(body["status"], body["is_checking"]) for body in quiet} == {("idle", False)}
        assert events_in(command) == kept


def wait_for_scans(service: Service, command: Command) -> None:
    """Wait until each pipeline has scanned again."""
    before = service.states()

    def is_over(state: dict[str, Any]) -> bool:
        return bool(state["last_check_time"] != before[state["pipeline_id"]]["last_check_time"])

    service.wait(is_over, command.ids, "another scan")


def events_in(command: Command) -> int:
    """Return the number of events in the journal."""
    path = command.state_dir / "journal.sqlite3"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as db:
        (position,) = db.execute("SELECT max(position) FROM events").fetchone()
    return int(position)
