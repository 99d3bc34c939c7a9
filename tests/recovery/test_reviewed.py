"""Restarts, the state folder and resuming, through the whole service."""

from __future__ import annotations

import multiprocessing
import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any

import pytest

from rag_pipeline import PipelineStatus
from rag_pipeline.contract import events
from rag_pipeline.contract.events import PipelineEvent
from rag_pipeline.journal import Entry, offset_of
from rag_pipeline.journal.sqlite.backend import JOURNAL_NAME, SqliteBackend
from rag_pipeline.journal.sqlite.journal import SqliteJournal
from rag_pipeline.journal.tail import Tail
from rag_pipeline.service import StatusServer, start_status_server
from tests.socket_server.support import ClientClosedError, PollingSession, WebSocketSession, new_pipeline, serving
from tests.support.http_get import get_json
from tests.support.programs import run
from tests.support.recorder import untyped
from tests.support.state_client import JsonDict
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

Received = list[tuple[str, JsonDict]]


def work(pipeline: PipelineStatus, count: int, first: int = 0) -> None:
    for number in range(first, first + count):
        pipeline.add_processing_file(f"f{number}", f"f{number}")
        pipeline.complete_file(f"f{number}", file_id=f"f{number}")


def until_recovered(session: WebSocketSession | PollingSession) -> tuple[Received, bool]:
    """Return the events up to the first status with the result of the resume, and that status."""
    received: Received = []
    while True:
        _, name, payload = session.receive_event()
        if "recovered" in payload:
            return received, payload["recovered"]
        received.append((name, payload))


def newest(server: StatusServer) -> int:
    return server._sockets.hub.tail.newest


def offset(server: StatusServer, position: int) -> str:
    return offset_of(server._sockets.hub.tail.identity, position)


def _hold(held: threading.Event, go_on: threading.Event) -> None:
    held.set()
    go_on.wait(60)


def shorten_the_tail(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = Tail.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "limit", 50)


def counts(pipeline: PipelineStatus) -> tuple[int, int, list[str]]:
    state = pipeline.get()
    return state["seq"], state["total_processed"], [file["name"] for file in state["files_completed"]]


# -- restarts --------------------------------------------------------------------------------------------------------


def test_a_second_server_in_one_process_does_not_count_again_what_the_pipeline_has_counted(tmp_path: Path) -> None:
    pipeline = new_pipeline()
    with serving(pipeline, state_dir=tmp_path):
        work(pipeline, 3)
        before = counts(pipeline)
    with serving(pipeline, state_dir=tmp_path):
        assert counts(pipeline) == before


def test_two_servers_with_separate_folders_do_not_add_up_their_totals(tmp_path: Path) -> None:
    for _ in range(2):
        pipeline = PipelineStatus("local_files", "in-two-folders")
        with serving(pipeline, state_dir=tmp_path / "a"), serving(pipeline, state_dir=tmp_path / "b"):
            work(pipeline, 1 - pipeline.get()["total_processed"])
            assert pipeline.get()["total_processed"] == 1
        pipeline.close()


_KILLED = """
import os, signal, sys
from pathlib import Path
from rag_pipeline import PipelineStatus, start_status_server
from tests.support.http_get import get_json
from tests.support.waiting import wait_until
pipeline = PipelineStatus("local_files", "killed-early")
pipeline.add_processing_file("early", "early")
with start_status_server(0, pipelines=[pipeline], state_dir=Path(sys.argv[1])) as server:
    pipeline.add_processing_file("late", "late")
    wait_until(lambda: get_json(server.http_port, "/events").body["events"])
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_file_in_flight_before_the_server_started_is_interrupted_by_a_kill_too(tmp_path: Path) -> None:
    run("-c", _KILLED, str(tmp_path))
    pipeline = PipelineStatus("local_files", "killed-early")
    with serving(pipeline, state_dir=tmp_path):
        assert {file.name for file in pipeline.interrupted} == {"early", "late"}


def test_events_from_before_the_server_started_begin_a_new_epoch(tmp_path: Path) -> None:
    pipeline = PipelineStatus("local_files", "reports-first")
    with serving(pipeline, state_dir=tmp_path) as server:
        work(pipeline, 3)
        with WebSocketSession(server.socket_port) as session:
            _, _, seen = session.receive_event()
    pipeline.close()
    pipeline = PipelineStatus("local_files", "reports-first")
    work(pipeline, 4)
    with (
        serving(pipeline, state_dir=tmp_path) as server,
        WebSocketSession(server.socket_port, auth={"offset": seen["offset"]}) as session,
    ):
        received, _ = until_recovered(session)
        assert pipeline.get()["epoch"] != seen["epoch"], "the events before the start are not in the journal"
        assert received == []


# -- the state folder ------------------------------------------------------------------------------------------------


def _wait_for_the_end(end: SimpleQueue[None]) -> None:
    end.get()


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
def test_a_surviving_forked_child_does_not_hold_the_lock(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    end: SimpleQueue[None] = context.SimpleQueue()
    with serving(new_pipeline(), state_dir=tmp_path):
        child = context.Process(target=_wait_for_the_end, args=(end,))
        child.start()
    try:
        with serving(new_pipeline(), state_dir=tmp_path) as server:
            assert get_json(server.http_port, "/health").body["journal"]["status"] == "ok"
    finally:
        end.put(None)
        child.join()


def test_a_state_folder_removed_while_the_service_runs_is_reported(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    pipeline = new_pipeline()
    with serving(pipeline, state_dir=folder) as server:
        work(pipeline, 10)
        wait_until(lambda: newest(server) == 20)
        shutil.rmtree(folder)

        def is_reported() -> bool:
            pipeline.update(status="running")
            return bool(get_json(server.http_port, "/health").body["status"] == "degraded")

        wait_until(is_reported)


def test_a_state_folder_may_be_given_as_a_string(tmp_path: Path) -> None:
    start_status_server(0, pipelines=[], state_dir=str(tmp_path)).stop()
    assert (tmp_path / JOURNAL_NAME).exists()


# -- resuming --------------------------------------------------------------------------------------------------------


def test_a_resume_across_dropped_events_is_not_recovered() -> None:
    pipeline = new_pipeline()
    with serving(pipeline) as server:
        pipeline.update(status="running")
        wait_until(lambda: newest(server) == 1)
        before = offset(server, 1)
        held, go_on = threading.Event(), threading.Event()
        server._sockets.hub.call(lambda: _hold(held, go_on))
        assert held.wait(60)
        server._sockets.hub.mailbox._limit = 100
        work(pipeline, 100)
        go_on.set()
        wait_until(lambda: newest(server) > 50)
        pipeline.update(status="idle")
        wait_until(lambda: len(server._sockets.hub.mailbox) == 0)
        with WebSocketSession(server.socket_port, auth={"offset": before}) as session:
            _, recovered = until_recovered(session)
        assert not recovered


class HeldJournal(SqliteJournal):
    """A journal whose writer can be paused after a commit, as on a busy machine."""

    go_on = threading.Event()
    held = threading.Event()

    def append(self, batch: Sequence[PipelineEvent]) -> list[Entry]:
        kept = super().append(batch)
        if not self.go_on.is_set():
            self.held.set()
            self.go_on.wait(60)
        return kept


@contextmanager
def behind_the_tail(
    folder: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[PipelineStatus, PipelineStatus], None]
) -> Iterator[tuple[WebSocketSession, PipelineStatus]]:
    """Resume from before the tail, in a namespace with few events, while ``change`` is stored but not delivered."""
    shorten_the_tail(monkeypatch)
    monkeypatch.setattr("rag_pipeline.journal.sqlite.backend.SqliteJournal", HeldJournal)
    HeldJournal.go_on.set()
    busy, rare = new_pipeline(), new_pipeline("google_drive")
    with serving(busy, rare, state_dir=folder) as server:
        rare.update(own={"step": 1})
        wait_until(lambda: newest(server) == 1)
        before = offset(server, 1)
        work(busy, 100)
        wait_until(lambda: newest(server) == 201)
        HeldJournal.held.clear()
        HeldJournal.go_on.clear()
        change(busy, rare)
        assert HeldJournal.held.wait(60)
        replayed = threading.Event()
        assert isinstance(server._backend, SqliteBackend)
        fetcher = server._backend._fetcher
        assert fetcher is not None
        read = fetcher._read

        def answered(*request: Any) -> None:
            read(*request)
            server._sockets.hub.call(lambda: server._sockets.hub.call(replayed.set))

        monkeypatch.setattr(fetcher, "_read", answered)
        with WebSocketSession(server.socket_port, namespace="/google_drive", auth={"offset": before}) as session:
            assert replayed.wait(60)
            HeldJournal.go_on.set()
            yield session, rare


def test_a_stored_event_that_is_not_delivered_yet_is_not_sent_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with behind_the_tail(tmp_path, monkeypatch, lambda _busy, rare: rare.update(own={"step": 2})) as (session, rare):
        rare.update(own={"step": 3})
        steps: list[int] = []
        while not steps or steps[-1] < 3:
            _, _, payload = session.receive_event()
            if "recovered" not in payload:
                steps.append(payload["step"])
        assert steps == [2, 3]


def test_a_client_that_missed_nothing_in_its_namespace_sees_no_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with behind_the_tail(tmp_path, monkeypatch, lambda busy, _rare: work(busy, 1)) as (session, _):
        assert until_recovered(session) == ([], True)


def test_a_client_disconnected_between_its_first_states_gets_no_changes_of_a_pipeline_without_a_state() -> None:
    one, other = new_pipeline(), new_pipeline()
    with serving(one, other) as server:
        work(one, 1)
        other.add_processing_file("known to whoever got the state")
        wait_until(lambda: newest(server) == 3)
        with WebSocketSession(server.socket_port) as session:
            _, _, first = session.receive_event()
        unseen = other if first["pipeline_id"] == one.pipeline_id else one
        work(unseen, 1, first=1)
        with WebSocketSession(server.socket_port, auth={"offset": first["offset"]}) as session:
            while True:
                _, name, payload = session.receive_event()
                if payload["pipeline_id"] == unseen.pipeline_id:
                    assert name == events.STATUS, "the state comes before the first change"
                    return


def test_a_replay_does_not_exceed_a_backlog_that_live_events_would_not() -> None:
    pipeline = new_pipeline()
    with serving(pipeline, backlog_limit_bytes=1 << 16) as server:
        pipeline.update(status="running")
        wait_until(lambda: newest(server) == 1)
        for n in range(4):
            pipeline.complete_file(f"f{n}", result="x" * 3000)
        pipeline.complete_file("large", result="x" * 55_000)
        pipeline.skip_file("small", "no text")
        wait_until(lambda: newest(server) == 7)
        try:
            with PollingSession(server.socket_port, namespace=None) as session:
                session.connect(auth={"offset": offset(server, 1)})
                received, recovered = until_recovered(session)
        except ClientClosedError:
            pytest.fail("it was cut off, and will be each time it tries")
        assert recovered
        assert [payload["seq"] for _, payload in received] == [2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("field", ["offset", "recovered", "gap"])
def test_a_users_own_field_never_replaces_one_of_the_service(field: str) -> None:
    pipeline = new_pipeline()
    with serving(pipeline) as server, WebSocketSession(server.socket_port) as session:
        session.receive_event()
        with pytest.raises(ValueError, match=field):
            untyped(pipeline).update(**{field: "mine"})


def test_a_page_of_events_is_not_recovered_if_events_were_removed_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shorten_the_tail(monkeypatch)
    pipeline = new_pipeline()
    with serving(pipeline) as server:
        work(pipeline, 50)
        wait_until(lambda: newest(server) == 100)
        tail = server._backend.tail
        reaches = tail.reaches
        positions: list[int] = []

        def reaches_and_then_events_come(position: int) -> bool:
            found = reaches(position)
            positions.append(position)
            if len(positions) == 1:
                work(pipeline, 10, first=50)
                wait_until(lambda: newest(server) == 120)
            return found

        monkeypatch.setattr(tail, "reaches", reaches_and_then_events_come)
        page = get_json(server.http_port, f"/events?since={offset(server, 50)}").body
        assert not page["recovered"] or page["events"][0]["data"]["seq"] == 51
