from __future__ import annotations

import json

from rag_pipeline.status.model import RESERVED_FIELDS, FileBody, FileFailure, FileRecord, FileTotals, StateBody

FILE_KEYS = [
    "name",
    "id",
    "size",
    "mime_type",
    "link",
    "attempt",
    "started_at",
    "stage",
    "progress",
    "last_progress_at",
    "completed_at",
    "duration_seconds",
    "result",
    "error",
    "warnings",
    "quality",
]
STATE_KEYS = {
    *("pipeline_id", "pipeline_type", "status", "epoch", "seq", "started_at", "last_activity", "last_check_time"),
    *("next_check_time", "seconds_until_next_check", "check_interval", "is_checking", "files_in_flight"),
    *("files_processing", "files_completed", "files_failed", "files_skipped", "total_processed", "total_failed"),
    *("total_skipped", "total_deleted", "total_with_warnings", "files_queued", "files_per_minute", "eta_seconds"),
}


def state(next_check: float | None = None) -> StateBody:
    file = FileRecord("a", None)
    return StateBody(
        pipeline_id="p",
        pipeline_type=None,
        status="idle",
        epoch="e",
        seq=1,
        started_at=0.0,
        last_activity=None,
        last_check_time=None,
        next_check_time=next_check,
        check_interval=None,
        is_checking=False,
        files_in_flight=1,
        files_processing=(file,),
        files_completed=(),
        files_failed=(),
        files_skipped=(),
        totals=FileTotals(),
        files_queued=None,
        files_per_minute=None,
        eta_seconds=None,
        own={"folder": "inbox"},
    )


def test_a_file_has_every_field_and_null_for_unknown_values() -> None:
    shown = FileRecord("a.pdf", None).to_json()
    assert list(shown) == FILE_KEYS
    assert {key for key, value in shown.items() if value is None} == {*FILE_KEYS} - {"name", "attempt", "warnings"}
    assert shown["warnings"] == []


def test_an_error_shows_type_message_stage_and_retryable() -> None:
    shown = FileRecord("a", "1").finished("1", 1.0, 0.5, None, FileFailure("E", "m", None, retryable=True)).to_json()
    assert shown["error"] == {"type": "E", "message": "m", "stage": None, "retryable": True}
    assert shown["duration_seconds"] == 0.5


def test_each_step_keeps_the_earlier_fields() -> None:
    file = FileRecord("a", "1", 5, "text/plain", "http://x").started(2, 10.0)
    assert file == FileRecord("a", "1", 5, "text/plain", "http://x", attempt=2, started_at=10.0)
    assert file.in_stage("s", 0.5, 11.0) == file._replace(stage="s", progress=0.5, last_progress_at=11.0)
    done = file.in_stage("s", 0.5, 11.0).finished("7", 12.0, 2.0, [1], None)
    assert done == file._replace(
        id="7", stage="s", progress=0.5, last_progress_at=11.0, completed_at=12.0, duration_seconds=2.0, result=[1]
    )


def test_the_state_has_the_fields_of_the_contract_and_own_ones() -> None:
    shown = state().to_json(0.0)
    assert set(shown) == STATE_KEYS | {"folder"}
    assert [list(f) for f in shown["files_processing"]] == [FILE_KEYS]
    json.dumps(shown, allow_nan=False)


def test_reserved_names_cover_state_and_envelope() -> None:
    assert STATE_KEYS | {"timestamp", "pipelines", "offset", "recovered", "gap"} == RESERVED_FIELDS


def test_seconds_until_the_next_check_count_down_to_0() -> None:
    assert state(next_check=100.0).to_json(90.5)["seconds_until_next_check"] == 9.5
    assert state(next_check=100.0).to_json(200.0)["seconds_until_next_check"] == 0.0
    assert state().to_json(0.0)["seconds_until_next_check"] is None


def test_a_file_event_has_totals_only_if_it_changed_them() -> None:
    assert set(FileBody(FileRecord("a", None)).to_json(0.0)) == {"file"}
    assert set(FileBody(FileRecord("a", None), FileTotals()).to_json(0.0)) == {"file", "totals"}
