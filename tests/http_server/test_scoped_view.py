"""The view of a limited token's holder: nothing outside of its scope comes through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.access import EVERYTHING, Access
from rag_pipeline.http_server.scoped_view import ScopedView
from rag_pipeline.http_server.service_view import ServiceView, combined
from rag_pipeline.journal.base import FileMatch, FileQuery, FileStatus
from rag_pipeline.status.control import Action, ControlError
from tests.http_server.support import StubView

TYPES = {
    "files": "local_files",
    "more-files": "local_files",
    "drive": "google_drive",
    "other": "sharepoint",
    "new": None,
}
LOCAL = Access(frozenset({"/local_files"}))


class ManyView(StubView):
    """A view of several pipelines and their files."""

    def __init__(self) -> None:
        told = {pipeline_id: {"status": "idle"} for pipeline_id in TYPES}
        super().__init__(health={"status": "ok", "uptime_seconds": 5.0, "pipelines": told})
        self.rows = [
            FileMatch(position, list(TYPES)[position % len(TYPES)], FileStatus.COMPLETED, 0.0, {"name": f"{position}"})
            for position in range(100, 0, -1)
        ]

    def states(self) -> Sequence[Mapping[str, object]]:
        return [{"pipeline_id": pipeline_id, "pipeline_type": kind} for pipeline_id, kind in TYPES.items()]

    def pipeline(self, pipeline_id: str) -> Mapping[str, object] | None:
        return next((state for state in self.states() if state["pipeline_id"] == pipeline_id), None)

    def files(self, query: FileQuery) -> Sequence[FileMatch]:
        self._note("files", query)
        wanted = [
            row
            for row in self.rows
            if query.pipeline_id in (None, row.pipeline_id) and (query.before is None or row.position < query.before)
        ]
        return wanted[: query.limit]


def limited(access: Access = LOCAL) -> tuple[ScopedView, ManyView]:
    view = ManyView()
    return ScopedView(view, access), view


SCOPED: ServiceView = limited()[0]  # mypy checks that it implements the protocol


def test_only_pipelines_of_allowed_namespaces_have_a_state() -> None:
    scoped, _ = limited()
    assert [state["pipeline_id"] for state in scoped.states()] == ["files", "more-files"]
    status: Any = combined(scoped.states())
    assert status["pipeline_id"] == "files"
    assert list(status["pipelines"]) == ["files", "more-files"]
    assert [pipeline_id for pipeline_id in TYPES if scoped.pipeline(pipeline_id) is not None] == ["files", "more-files"]


def test_only_allowed_namespaces_are_addresses() -> None:
    scoped, view = limited()
    assert scoped.addresses.namespaces == ("/local_files",)
    assert scoped.addresses.http_port == view.addresses.http_port


def test_health_leaves_out_only_the_other_pipelines() -> None:
    scoped, view = limited()
    body = scoped.health().body
    assert body == {**view.health_body, "pipelines": {"files": {"status": "idle"}, "more-files": {"status": "idle"}}}


def test_health_counts_nothing_outside_of_the_scope() -> None:
    scoped, view = limited()
    clients = {"total": 9, "/google_drive": 5, "/local_files": 3, "/pipeline": 2}
    error = "7 events were dropped, since too many waited: /files is not complete"
    view.health_body = {
        "status": "degraded",
        "socket_io": {"status": "ok", "port": 8004, "answered_in_ms": 1.0, "queued": 3, "oldest_waiting_seconds": 0.1},
        "clients": clients,
        "clients_dropped": 4,
        "journal": {"status": "degraded", "kind": "sqlite", "events": 77, "bytes": 5, "dropped": 7, "error": error},
        "pipelines": {},
        "uptime_seconds": 1.0,
    }
    assert scoped.health().body == {
        "status": "degraded",
        "socket_io": {"status": "ok", "port": 8004, "answered_in_ms": 1.0},
        "clients": {"total": 3, "/google_drive": 0, "/local_files": 3, "/pipeline": 0},
        "clients_dropped": None,
        "journal": {"status": "degraded", "kind": "sqlite"},
        "pipelines": {},
        "uptime_seconds": 1.0,
    }


def test_files_are_those_of_visible_pipelines_newest_first() -> None:
    scoped, view = limited()
    rows = scoped.files(FileQuery(limit=1000))
    assert rows == [row for row in view.rows if TYPES[row.pipeline_id] == "local_files"]
    assert scoped.files(FileQuery(pipeline_id="files")) == [row for row in view.rows if row.pipeline_id == "files"]


def test_files_of_a_hidden_pipeline_are_not_searched() -> None:
    scoped, view = limited()
    assert scoped.files(FileQuery(pipeline_id="drive")) == []
    assert view.calls == []


@given(st.integers(1, 30))
def test_pages_of_files_are_complete_without_repetition(limit: int) -> None:
    scoped, view = limited()
    found: list[FileMatch] = []
    page = scoped.files(FileQuery(limit=limit))
    while page:
        found += page
        page = scoped.files(FileQuery(limit=limit, before=page[-1].position))
    assert found == [row for row in view.rows if TYPES[row.pipeline_id] == "local_files"]


@pytest.mark.parametrize("access", [EVERYTHING, Access(None, 2e9), Access(frozenset({"/pipeline"}), 2e9)])
def test_an_unlimited_access_sees_everything(access: Access) -> None:
    scoped, view = limited(access)
    assert scoped.states() == view.states()
    assert scoped.health() == view.health()
    assert scoped.files(FileQuery(limit=1000)) == view.rows
    assert scoped.addresses == view.addresses
    assert scoped.metrics() == view.metrics()


def test_only_visible_pipelines_can_be_controlled() -> None:
    scoped, view = limited()
    assert scoped.controllable is view.controllable
    scoped.control("files", Action.PAUSE, None)
    with pytest.raises(ControlError, match="no pipeline drive"):
        scoped.control("drive", Action.PAUSE, None)
    assert view.calls == [("control", "files", Action.PAUSE, None)]


def test_offsets_are_those_of_the_full_view() -> None:
    scoped, view = limited()
    assert scoped.generations is view.generations
    scoped.events("x", "/local_files", 10)
    assert view.calls == [("events", "x", "/local_files", 10)]


# -- the expiry of a token ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("expires_at", [None, 2e9])
def test_a_follower_ends_when_the_token_expires(expires_at: float | None) -> None:
    scoped, view = limited(Access(frozenset({"/local_files"}), expires_at))
    assert scoped.follow("/local_files", None) is view.followers[0]
    assert view.followers[0]._expires_at == expires_at
