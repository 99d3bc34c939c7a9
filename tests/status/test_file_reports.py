from __future__ import annotations

import logging
import math
import os
import threading

import pytest

from rag_pipeline.contract import events
from rag_pipeline.status.pipeline import PipelineStatus
from rag_pipeline.status.processing import Processing
from tests.support.recorder import Recorder


def test_a_file_goes_from_started_to_completed(pipeline: PipelineStatus, recorder: Recorder) -> None:
    pipeline.add_processing_file("a.pdf", "1", size=9, mime_type="application/pdf", link="http://x")
    pipeline.file_progress("a.pdf", "chunking", 0.5)
    working = pipeline.get()["files_processing"]
    assert [(f["name"], f["id"], f["stage"], f["progress"], f["attempt"]) for f in working] == [
        ("a.pdf", "1", "chunking", 0.5, 1)
    ]
    pipeline.complete_file("a.pdf", result={"chunks": 2})
    assert recorder.names == [events.FILE_STARTED, events.FILE_PROGRESS, events.FILE_COMPLETED]
    file = recorder.last["file"]
    assert file == pipeline.get()["files_completed"][0]
    assert (file["result"], file["duration_seconds"] >= 0, file["completed_at"] is not None) == (
        {"chunks": 2},
        True,
        True,
    )
    assert recorder.last["totals"]["total_processed"] == pipeline.get()["total_processed"] == 1


def test_failure_skip_and_delete_are_counted_and_shown(pipeline: PipelineStatus, recorder: Recorder) -> None:
    pipeline.add_processing_file("a")
    pipeline.complete_file("a", success=False, error={"type": "T", "message": "m", "retryable": True})
    pipeline.skip_file("b", "too large")
    pipeline.delete_file("c")
    assert recorder.names[1:] == [events.FILE_FAILED, events.FILE_SKIPPED, events.FILE_DELETED]
    state = pipeline.get()
    assert state["files_failed"][0]["error"] == {"type": "T", "message": "m", "stage": None, "retryable": True}
    assert state["files_skipped"][0]["error"]["message"] == "too large"
    assert [state[f"total_{k}"] for k in ("processed", "failed", "skipped", "deleted")] == [0, 1, 1, 1]
    assert recorder.last["totals"] == {k: v for k, v in state.items() if k.startswith("total_")}


def test_a_file_that_was_never_started_is_counted_with_one_warning(
    pipeline: PipelineStatus, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline.complete_file("a", file_id="1")
    assert [r.message for r in caplog.records if r.levelno >= logging.WARNING] == [
        "file 'a' was completed but never started"
    ]
    file = recorder.last["file"]
    assert (file["name"], file["id"], file["started_at"], file["duration_seconds"]) == ("a", "1", None, None)
    assert (recorder.names, pipeline.get()["total_processed"]) == ([events.FILE_COMPLETED], 1)


def test_progress_of_a_file_not_in_flight_changes_nothing(
    pipeline: PipelineStatus, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    before = pipeline.get()
    pipeline.file_progress("a", "s")
    assert len(caplog.records) == 1
    assert (recorder.items, pipeline.get()) == ([], before)


def test_progress_of_an_unknown_file_warns_once_for_a_name(caplog: pytest.LogCaptureFixture) -> None:
    status = PipelineStatus("local_files")
    for _ in range(3):
        status.file_progress("nobody.pdf", "chunking")
    assert [r.message for r in caplog.records if "nobody.pdf" in r.message] == [
        "progress of file 'nobody.pdf', which is not in flight, was ignored"
    ]


def test_names_that_are_not_utf8_reach_clients_readable(pipeline: PipelineStatus, recorder: Recorder) -> None:
    name = os.fsdecode(b"caf\xe9.txt")
    pipeline.add_processing_file(name)
    pipeline.complete_file(name)
    assert recorder.last["file"]["name"] == "caf\\xe9.txt"
    assert pipeline.get()["files_in_flight"] == 0


def test_success_must_be_a_bool() -> None:
    status = PipelineStatus("local_files")
    with pytest.raises(TypeError, match="success"):
        status.complete_file("a.pdf", "failed")  # type: ignore[arg-type]
    assert status.get()["total_processed"] == 0


WARNING = {"type": "pages_without_text", "message": "9 of 10 pages have no text (scanned?)", "count": 9}


def test_a_completed_file_shows_its_warnings_and_quality(pipeline: PipelineStatus, recorder: Recorder) -> None:
    assert pipeline.get()["total_with_warnings"] == 0
    pipeline.add_processing_file("a.pdf", "1")
    pipeline.warn_file("a.pdf", "odd", "some text is odd", file_id="1")
    pipeline.warn_file("a.pdf", "odd", "some text is odd", 2)
    pipeline.complete_file("a.pdf", file_id="1", warnings=[WARNING], quality={"pages": 10, "share": 0.5})
    assert recorder.names == [events.FILE_STARTED, events.FILE_COMPLETED]
    file = recorder.last["file"]
    assert file["warnings"] == [{"type": "odd", "message": "some text is odd", "count": 3}, WARNING]
    assert file["quality"] == {"pages": 10, "share": 0.5}
    assert file == pipeline.get()["files_completed"][0]
    assert recorder.last["totals"]["total_with_warnings"] == pipeline.get()["total_with_warnings"] == 1
    pipeline.complete_file("a.pdf", file_id="1")
    assert (pipeline.get()["total_processed"], pipeline.get()["total_with_warnings"]) == (1, 0)


def test_a_warning_of_a_file_not_in_flight_is_ignored_and_logged_once(
    pipeline: PipelineStatus, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        pipeline.warn_file("a.pdf", "odd", "some text is odd")
    assert [record.message for record in caplog.records] == [
        "warning of file 'a.pdf', which is not in flight, was ignored"
    ]
    assert recorder.changes == []


def test_strict_calls_refuse_a_bad_verdict_and_change_nothing(pipeline: PipelineStatus, recorder: Recorder) -> None:
    pipeline.add_processing_file("a")
    before = pipeline.get()
    with pytest.raises(ValueError, match="1 to 300 characters, not 301"):
        pipeline.complete_file("a", warnings=["m" * 301])
    with pytest.raises(TypeError, match="quality must be a mapping of numbers, not int"):
        pipeline.complete_file("a", quality=5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="warnings goes with success=True only"):
        pipeline.complete_file("a", success=False, warnings=["odd"])
    with pytest.raises(ValueError, match="1 to 64 characters, not 65"):
        pipeline.warn_file("a", "t" * 65, "odd")
    assert pipeline.get() == before
    for number in range(20):
        pipeline.warn_file("a", "odd", f"fault {number}")
    pipeline.warn_file("a", "odd", "fault 0", 5)
    with pytest.raises(ValueError, match="at most 20 different warnings"):
        pipeline.warn_file("a", "odd", "fault 20")
    assert recorder.names == [events.FILE_STARTED]
    pipeline.complete_file("a")
    assert [warning["count"] for warning in recorder.last["file"]["warnings"]] == [6, *[1] * 19]


def test_a_lenient_call_clamps_a_verdict_and_says_so_once(
    pipeline: PipelineStatus, recorder: Recorder, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STATUS_STRICT")
    pipeline.add_processing_file("a")
    for _ in range(2):
        pipeline.complete_file("a", warnings=["m" * 1000 + str(n) for n in range(30)], quality={"pages": math.nan})
    assert [len(warning["message"]) for warning in recorder.last["file"]["warnings"]] == [300]
    assert recorder.last["file"]["quality"] is None
    said = [record.message for record in caplog.records if "STATUS_STRICT" in record.message]
    assert [line.split(": ")[1] for line in said] == ["warnings do not fit", "quality is left out in part"]


def test_warnings_of_many_threads_are_all_counted(pipeline: PipelineStatus, recorder: Recorder) -> None:
    def warn_often(file: Processing) -> None:
        for _ in range(200):
            file.warn("odd", "some text is odd")

    with pipeline.processing("a") as file:
        threads = [threading.Thread(target=warn_often, args=(file,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert recorder.last["file"]["warnings"] == [{"type": "odd", "message": "some text is odd", "count": 1600}]
