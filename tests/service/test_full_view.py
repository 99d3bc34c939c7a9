"""The view of the whole service: states, control, followers and metrics."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_pipeline.broadcast.follower import FollowerClosedError
from rag_pipeline.contract import events
from rag_pipeline.status.control import Action, Control, ControlError
from tests.metrics.scraping import Scrape
from tests.socket_server.support import new_pipeline, serving, wait_until_live
from tests.support.http_get import get_json
from tests.support.waiting import wait_until


def test_a_service_without_pipelines_has_no_states() -> None:
    with serving() as server:
        assert server.status() == {"pipelines": {}}
        assert server.health().body["pipelines"] == {}


def test_several_pipelines_are_shown_by_id_and_the_first_flat() -> None:
    first, second = new_pipeline(), new_pipeline("google_drive")
    with serving(first, second) as server:
        state = server.status()
        assert state["pipeline_id"] == first.pipeline_id
        assert list(state["pipelines"]) == [first.pipeline_id, second.pipeline_id]  # type: ignore[call-overload]
        assert server._view.pipeline(second.pipeline_id) == second.get()
        assert server._view.pipeline("unknown") is None


def test_health_names_the_journals_kind(tmp_path: Path) -> None:
    with serving(new_pipeline(), state_dir=tmp_path) as server:
        body = server.health().body
        assert (body["status"], body["journal"]["kind"]) == ("ok", "sqlite")  # type: ignore[index]


def test_a_journal_that_can_not_be_opened_is_degraded_and_not_down(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite3").write_text("this is no database, and long enough to be read as one" * 100)
    with serving(new_pipeline(), state_dir=tmp_path) as server:
        health = server.health()
        assert health.ok
        assert (health.body["status"], health.body["journal"]["kind"]) == ("degraded", "memory")  # type: ignore[index]
        assert "journal.sqlite3" in health.body["journal"]["error"]  # type: ignore[index]


def test_health_lists_a_pipelines_actions_if_control_is_on() -> None:
    able, other = new_pipeline(), new_pipeline("google_drive")
    able.control = Control((Action.RESUME, Action.PAUSE))
    for on, actions in ((True, ["pause", "resume"]), (False, None)):
        with serving(able, other, control=on) as server:
            told = get_json(server.http_port, "/health").body["pipelines"]
        assert told[able.pipeline_id].get("actions") == actions
        assert "actions" not in told[other.pipeline_id]


def test_a_pipeline_of_another_process_can_not_be_controlled_here() -> None:
    with serving(new_pipeline(), control=True) as server, pytest.raises(ControlError, match="in another process"):
        server._view.control("papers", Action.PAUSE, None)


def test_metrics_can_be_parsed_by_prometheus() -> None:
    pipeline = new_pipeline()
    with serving(pipeline) as server:
        found = Scrape(server._view.metrics().decode())
        assert found.value("up", pipeline=pipeline.pipeline_id) == 1


def test_a_follower_gets_the_state_then_events_until_it_is_closed() -> None:
    pipeline = new_pipeline()
    with serving(pipeline) as server:
        follower = server._view.follow(events.NS_PIPELINE, None)
        first = follower.next(30)
        pipeline.update(own={"n": 1})
        second = follower.next(30)
        assert [packet.name for packet in (*first, *second)] == [events.STATUS] * 2
        follower.close()
        with pytest.raises(FollowerClosedError):
            follower.next(30)


def test_a_slow_follower_is_counted_as_a_dropped_client() -> None:
    pipeline = new_pipeline()
    with serving(pipeline, backlog_limit_bytes=1 << 16) as server:
        follower = server._view.follow(events.NS_PIPELINE, None)
        assert follower.next(30)
        wait_until_live(server, 1)
        for _ in range(3):
            pipeline.update(own={"text": "x" * 50_000})
        wait_until(lambda: get_json(server.http_port, "/health").body["clients_dropped"] == 1)
        with pytest.raises(FollowerClosedError):
            follower.next(30)
