"""Each action is one call, with times that are true on the real clock."""

from __future__ import annotations

import time
from datetime import datetime

import pytest

from rag_pipeline import PipelineStatus
from rag_pipeline.cli.demo.steps import (
    CheckBegins,
    Complete,
    Delete,
    DemoDocument,
    Fail,
    Idle,
    Progress,
    Skip,
    Start,
    StepAction,
    Update,
    perform,
)
from rag_pipeline.status.pipeline import core_of

FILE = DemoDocument("a.pdf", "1", 7, "application/pdf", "https://drive.example.com/1")


@pytest.fixture
def status() -> PipelineStatus:
    return PipelineStatus("google_drive", "steps-test")


def play(status: PipelineStatus, *actions: StepAction) -> None:
    for action in actions:
        perform(action, status, lambda at: at / 10, speed=10)


def test_a_file_goes_from_start_to_its_end(status: PipelineStatus) -> None:
    play(status, Start(FILE), Progress(FILE, "chunking", 0.5))
    file = status.get()["files_processing"][0]
    assert {key: file[key] for key in ("name", "id", "size", "mime_type", "link")} == FILE._asdict()
    assert (file["stage"], file["progress"], file["attempt"]) == ("chunking", 0.5, 1)
    error = {"type": "EmbeddingError", "message": "down", "stage": "embedding", "retryable": True}
    play(status, Fail(FILE, error))
    assert status.get()["files_failed"][0]["error"] == error
    play(status, Start(FILE))
    assert status.get()["files_processing"][0]["attempt"] == 2
    play(status, Complete(FILE, {"chunks": 3}))
    assert status.get()["files_completed"][0]["result"] == {"chunks": 3}
    warning = {"type": "odd", "message": "some text is odd", "count": 2}
    play(status, Complete(FILE._replace(id="2"), {}, (warning,), {"pages": 3}))
    shown = status.get()["files_completed"][-1]
    assert (shown["warnings"], shown["quality"], status.get()["total_with_warnings"]) == ([warning], {"pages": 3}, 1)
    play(status, Delete(FILE._replace(id="2")))
    play(status, Skip(FILE, "unchanged"))
    assert status.get()["files_skipped"][0]["error"]["message"] == "unchanged"
    play(status, Delete(FILE))
    state = status.get()
    assert [state[f"total_{what}"] for what in ("processed", "failed", "skipped", "deleted")] == [0, 0, 0, 2]
    assert core_of(status).snapshot().attempts == (2, 1, 1, 2, 1)


def test_idle_tells_when_the_next_check_really_is(status: PipelineStatus) -> None:
    play(status, Update({"status": "processing", "files_queued": 3}), Idle(next_check_at=6000, interval=600))
    state = status.get()
    assert (state["status"], state["is_checking"], state["check_interval"]) == ("idle", False, 60)
    assert abs(datetime.fromisoformat(state["next_check_time"]).timestamp() - time.time() - 600) < 30
    play(status, CheckBegins())
    state = status.get()
    assert (state["status"], state["is_checking"], state["next_check_time"]) == ("scanning", True, None)
    assert abs(datetime.fromisoformat(state["last_check_time"]).timestamp() - time.time()) < 30
