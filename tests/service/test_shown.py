"""What the HTTP server is told: states of this process and of others, and how all parts are."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_pipeline.status.control import Action, Control, ControlError
from tests.live import ask
from tests.metrics.scraping import Scrape
from tests.socket_server.support import new_pipeline, serving


def test_a_service_without_pipelines_says_that_there_are_none() -> None:
    with serving() as server:
        assert server.status() == {"pipelines": {}}
        assert server.health().body["pipelines"] == {}


def test_several_pipelines_are_shown_by_their_ids_and_the_first_flat() -> None:
    first, second = new_pipeline(), new_pipeline("google_drive")
    with serving(first, second) as server:
        state = server.status()
        assert state["pipeline_id"] == first.pipeline_id
        assert list(state["pipelines"]) == [first.pipeline_id, second.pipeline_id]  # type: ignore[call-overload]
        assert server._shown.pipeline(second.pipeline_id) == second.get()
        assert server._shown.pipeline("unknown") is None


def test_health_tells_of_the_journal(tmp_path: Path) -> None:
    with serving(new_pipeline(), state_dir=tmp_path) as server:
        body = server.health().body
        assert (body["status"], body["journal"]["kind"]) == ("ok", "sqlite")  # type: ignore[index]


def test_a_journal_that_can_not_be_had_is_degraded_and_not_down(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite3").write_text("this is no database, and long enough to be read as one" * 100)
    with serving(new_pipeline(), state_dir=tmp_path) as server:
        health = server.health()
        assert health.ok
        assert (health.body["status"], health.body["journal"]["kind"]) == ("degraded", "memory")  # type: ignore[index]
        assert "journal.sqlite3" in health.body["journal"]["error"]  # type: ignore[index]


def test_health_says_what_can_be_asked_of_a_pipeline_where_control_is_on() -> None:
    able, other = new_pipeline(), new_pipeline("google_drive")
    able.control = Control((Action.RESUME, Action.PAUSE))
    for on, actions in ((True, ["pause", "resume"]), (False, None)):
        with serving(able, other, control=on) as server:
            told = ask(server.http_port, "/health").body["pipelines"]
        assert told[able.pipeline_id].get("actions") == actions
        assert "actions" not in told[other.pipeline_id]


def test_what_runs_elsewhere_is_directed_there() -> None:
    with serving(new_pipeline(), control=True) as server, pytest.raises(ControlError, match="in another process"):
        server._shown.control("papers", Action.PAUSE, None)


def test_metrics_are_what_prometheus_can_read() -> None:
    pipeline = new_pipeline()
    with serving(pipeline) as server:
        found = Scrape(server._shown.metrics().decode())
        assert found.value("up", pipeline=pipeline.pipeline_id) == 1
