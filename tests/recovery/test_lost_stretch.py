"""A journal that comes back without its last events: clients never mistake new events for the lost ones."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from rag_pipeline import PipelineStatus
from rag_pipeline.contract import events
from rag_pipeline.journal.sqlite.backend import JOURNAL_NAME
from rag_pipeline.service import StatusServer
from tests.journal import redis_server
from tests.recovery.test_reviewed import until_recovered, work
from tests.socket_server.support import WebSocketSession, serving
from tests.support.http_get import get_json
from tests.support.state_client import JsonDict
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

KEPT, LOST, SINCE = 4, 4, 12


def kept(server: StatusServer) -> list[JsonDict]:
    """Return the events of the journal."""
    return [event["data"] for event in get_json(server.http_port, "/events?limit=1000").body["events"]]


def worked(pipeline: PipelineStatus, server: StatusServer, first: int, count: int) -> list[str]:
    """Publish two events for each file; return the offsets of all events in the journal."""
    before = len(kept(server))
    work(pipeline, count // 2, first)
    wait_until(lambda: len(kept(server)) == before + count)
    return [event["offset"] for event in kept(server)]


def assert_resumes(server: StatusServer, offset: str, *, recovered: bool, seqs: list[int]) -> None:
    """Assert what a client gets that resumes from the offset, over Socket.IO and over HTTP."""
    with WebSocketSession(server.socket_port, auth={"offset": offset}) as session:
        received, is_recovered = until_recovered(session)
    assert (is_recovered, [payload["seq"] for name, payload in received if name != events.STATUS]) == (recovered, seqs)
    page = get_json(server.http_port, f"/events?since={offset}").body
    everything = list(range(1, KEPT + SINCE + 1))
    assert page["recovered"] is recovered
    assert [event["data"]["seq"] for event in page["events"]] == (seqs if recovered else everything)
    assert get_json(server.http_port, f"/files?before={offset}").status == (200 if recovered else 400)


def assert_honest(server: StatusServer, before: list[str]) -> None:
    """Assert that a client resumes exactly from each offset from before the loss, or not at all."""
    assert len(before) == KEPT + LOST
    everything = list(range(1, KEPT + SINCE + 1))
    for seq, offset in enumerate(before, 1):
        if seq <= KEPT:
            assert_resumes(server, offset, recovered=True, seqs=everything[seq:])
        else:
            assert_resumes(server, offset, recovered=False, seqs=[])


def by_a_copy(folder: Path, copy: Path) -> None:
    """Copy the journal as it is on disk now, as after a power loss."""
    copy.mkdir()
    source, target = sqlite3.connect(folder / JOURNAL_NAME), sqlite3.connect(copy / JOURNAL_NAME)
    source.backup(target)
    for db in (source, target):
        db.close()


def test_offsets_of_events_lost_with_the_power_make_clients_start_over(tmp_path: Path) -> None:
    pipeline = PipelineStatus("local_files", "powerless")
    with serving(pipeline, state_dir=tmp_path / "state") as server:
        worked(pipeline, server, 0, KEPT)
        by_a_copy(tmp_path / "state", tmp_path / "copy")
        before = worked(pipeline, server, 100, LOST)
    pipeline.close()
    pipeline = PipelineStatus("local_files", "powerless")
    with serving(pipeline, state_dir=tmp_path / "copy") as server:
        worked(pipeline, server, 200, SINCE)
        assert_honest(server, before)


def test_offsets_of_events_missing_in_a_backup_make_clients_start_over(tmp_path: Path) -> None:
    state, copy = tmp_path / "state", tmp_path / "copy"

    def run(first: int, count: int, check: Callable[[StatusServer], None] = lambda _: None) -> list[str]:
        pipeline = PipelineStatus("local_files", "restored")
        with serving(pipeline, state_dir=state) as server:
            offsets = worked(pipeline, server, first, count)
            check(server)
        pipeline.close()
        return offsets

    in_the_copy = run(0, KEPT)
    shutil.copytree(state, copy)
    in_the_lost_process = run(100, LOST)
    shutil.rmtree(state)
    copy.rename(state)

    def check(server: StatusServer) -> None:
        for seq, offset in enumerate(in_the_copy, 1):
            assert_resumes(server, offset, recovered=True, seqs=list(range(seq + 1, KEPT + SINCE + 1)))
        for offset in in_the_lost_process:  # also offsets of earlier events: the generation of that process is unknown
            assert_resumes(server, offset, recovered=False, seqs=[])

    run(200, SINCE, check)


def test_a_browser_that_reconnects_by_itself_does_not_recover_either(tmp_path: Path) -> None:
    pipeline = PipelineStatus("local_files", "by-itself")
    with serving(pipeline, state_dir=tmp_path / "state") as server:
        worked(pipeline, server, 0, KEPT)
        by_a_copy(tmp_path / "state", tmp_path / "copy")
        before = worked(pipeline, server, 100, LOST)
    pipeline.close()
    pipeline = PipelineStatus("local_files", "by-itself")
    with serving(pipeline, state_dir=tmp_path / "copy") as server:
        worked(pipeline, server, 200, SINCE)
        hub = server._sockets.hub
        assert [hub.can_resume(offset) for offset in before] == [True] * KEPT + [False] * LOST


@redis_server.needs_redis
def test_offsets_of_events_that_redis_and_the_pipeline_lost_make_clients_start_over(tmp_path: Path) -> None:
    with redis_server.running(tmp_path / "redis", "--appendonly", "no") as redis:
        pipeline = PipelineStatus("local_files", "lost-by-both")
        with serving(pipeline, redis_url=redis.url) as server:
            worked(pipeline, server, 0, KEPT)
            connection = redis.connection()
            connection.call("SAVE")
            connection.close()
            before = worked(pipeline, server, 100, LOST)
        pipeline.close()
        redis.restart()
        pipeline = PipelineStatus("local_files", "lost-by-both")
        with serving(pipeline, redis_url=redis.url) as server:
            worked(pipeline, server, 200, SINCE)
            assert_honest(server, before)
