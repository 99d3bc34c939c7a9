"""What a token's holder sees of a source, and that nothing else comes through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.access import EVERYTHING, Access
from rag_pipeline.http_server.scoped_view import ExpiringFollower, LimitedSource
from rag_pipeline.http_server.service_view import FollowerClosedError, Source
from rag_pipeline.journal.base import FileQuery, FileRow, FileStatus
from rag_pipeline.status.control import Action, ControlError
from tests.http_server.support import StubFollower, StubSource, item

TYPES = {
    "files": "local_files",
    "more-files": "local_files",
    "drive": "google_drive",
    "other": "sharepoint",
    "new": None,
}
LOCAL = Access(frozenset({"/local_files"}))


class ManySource(StubSource):
    """Knows several pipelines, and files of each."""

    def __init__(self) -> None:
        told = {pipeline_id: {"status": "idle"} for pipeline_id in TYPES}
        super().__init__(health={"status": "ok", "uptime_seconds": 5.0, "pipelines": told})
        self.rows = [
            FileRow(position, list(TYPES)[position % len(TYPES)], FileStatus.COMPLETED, 0.0, {"name": f"{position}"})
            for position in range(100, 0, -1)
        ]

    def states(self) -> Sequence[Mapping[str, object]]:
        return [{"pipeline_id": pipeline_id, "pipeline_type": kind} for pipeline_id, kind in TYPES.items()]

    def pipeline(self, pipeline_id: str) -> Mapping[str, object] | None:
        return next((state for state in self.states() if state["pipeline_id"] == pipeline_id), None)

    def files(self, query: FileQuery) -> Sequence[FileRow]:
        self._note("files", query)
        wanted = [
            row
            for row in self.rows
            if query.pipeline_id in (None, row.pipeline_id) and (query.before is None or row.position < query.before)
        ]
        return wanted[: query.limit]


def limited(access: Access = LOCAL) -> tuple[LimitedSource, ManySource]:
    source = ManySource()
    return LimitedSource(source, access), source


SOURCE: Source = limited()[0]  # it has the shape of what it limits


def test_only_pipelines_of_its_namespaces_have_a_state() -> None:
    seen, _ = limited()
    assert [state["pipeline_id"] for state in seen.states()] == ["files", "more-files"]
    status: Any = seen.status()
    assert status["pipeline_id"] == "files"
    assert list(status["pipelines"]) == ["files", "more-files"]
    assert [pipeline_id for pipeline_id in TYPES if seen.pipeline(pipeline_id) is not None] == ["files", "more-files"]


def test_only_its_namespaces_may_be_asked_for() -> None:
    seen, source = limited()
    assert seen.addresses.namespaces == ("/local_files",)
    assert seen.addresses.http_port == source.addresses.http_port


def test_health_leaves_out_the_other_pipelines_and_nothing_else() -> None:
    seen, source = limited()
    body = seen.health().body
    assert body == {**source.told, "pipelines": {"files": {"status": "idle"}, "more-files": {"status": "idle"}}}


def test_health_counts_nothing_that_is_not_shown() -> None:
    seen, source = limited()
    clients = {"total": 9, "/google_drive": 5, "/local_files": 3, "/pipeline": 2}
    error = "7 events were dropped, since too many waited: /files is not complete"
    source.told = {
        "status": "degraded",
        "socket_io": {"status": "ok", "port": 8004, "answered_in_ms": 1.0, "queued": 3, "oldest_waiting_seconds": 0.1},
        "clients": clients,
        "clients_dropped": 4,
        "journal": {"status": "degraded", "kind": "sqlite", "events": 77, "bytes": 5, "dropped": 7, "error": error},
        "pipelines": {},
        "uptime_seconds": 1.0,
    }
    assert seen.health().body == {
        "status": "degraded",
        "socket_io": {"status": "ok", "port": 8004, "answered_in_ms": 1.0},
        "clients": {"total": 3, "/google_drive": 0, "/local_files": 3, "/pipeline": 0},
        "clients_dropped": None,
        "journal": {"status": "degraded", "kind": "sqlite"},
        "pipelines": {},
        "uptime_seconds": 1.0,
    }


def test_files_are_those_of_its_pipelines_the_newest_first() -> None:
    seen, source = limited()
    rows = seen.files(FileQuery(limit=1000))
    assert rows == [row for row in source.rows if TYPES[row.pipeline_id] == "local_files"]
    assert seen.files(FileQuery(pipeline_id="files")) == [row for row in source.rows if row.pipeline_id == "files"]


def test_files_of_a_pipeline_that_is_not_shown_are_not_even_looked_for() -> None:
    seen, source = limited()
    assert seen.files(FileQuery(pipeline_id="drive")) == []
    assert source.asked == []


@given(st.integers(1, 30))
def test_pages_of_files_leave_nothing_out_and_repeat_nothing(limit: int) -> None:
    seen, source = limited()
    found: list[FileRow] = []
    page = seen.files(FileQuery(limit=limit))
    while page:
        found += page
        page = seen.files(FileQuery(limit=limit, before=page[-1].position))
    assert found == [row for row in source.rows if TYPES[row.pipeline_id] == "local_files"]


@pytest.mark.parametrize("access", [EVERYTHING, Access(None, 2e9), Access(frozenset({"/pipeline"}), 2e9)])
def test_whoever_may_see_everything_does(access: Access) -> None:
    seen, source = limited(access)
    assert seen.states() == source.states()
    assert seen.health() == source.health()
    assert seen.files(FileQuery(limit=1000)) == source.rows
    assert seen.addresses == source.addresses
    assert seen.metrics() == source.metrics()


def test_only_its_pipelines_can_be_directed() -> None:
    seen, source = limited()
    assert seen.controllable is source.controllable
    seen.control("files", Action.PAUSE, None)
    with pytest.raises(ControlError, match="no pipeline drive"):
        seen.control("drive", Action.PAUSE, None)
    assert source.asked == [("control", "files", Action.PAUSE, None)]


def test_offsets_mean_the_same_to_all() -> None:
    seen, source = limited()
    assert seen.offset_of(5) == source.offset_of(5)
    assert seen.position_of(seen.offset_of(5)) == 5
    seen.events("x", "/local_files", 10)
    assert source.asked == [("events", "x", "/local_files", 10)]


# -- the end of a token ------------------------------------------------------------------------------------------------


def test_a_follower_ends_when_the_token_does() -> None:
    now = 100.0
    inner = StubFollower()
    follower = ExpiringFollower(inner, 160.0, lambda: now)
    inner.publish(item(1), item(2))
    assert follower.next(1) == [item(1)]
    now = 160.0
    with pytest.raises(FollowerClosedError):
        follower.next(1)
    follower.close()
    assert inner.closed


def test_it_does_not_wait_past_the_end() -> None:
    asked: list[float] = []

    class Noting(StubFollower):
        def next(self, timeout_seconds: float) -> Sequence[Any]:
            asked.append(timeout_seconds)
            return ()

    ExpiringFollower(Noting(), 100.5, lambda: 100.0).next(10.0)
    assert asked == [0.5]


def test_a_token_without_an_end_follows_for_ever() -> None:
    seen, source = limited(Access(frozenset({"/local_files"})))
    assert seen.follow("/local_files", None) is source.followers[0]
