"""The record starts with the current state, followed by every event of a namespace as JSON."""

from __future__ import annotations

from rag_pipeline import PipelineStatus
from rag_pipeline.status.pipeline import core_of
from tests.verify import Recorder


def test_the_record_starts_with_the_state_and_separates_namespaces() -> None:
    drive = PipelineStatus("google_drive", "recorder-drive")
    other = PipelineStatus("sharepoint", "recorder-other")
    drive.update(status="before")
    recorder = Recorder()
    recorder.follow(drive)
    recorder.follow(other)
    drive.update(status="after", own={"own": ("a", 1)})
    other.delete_file("a.txt")
    kept = recorder.emitted("/google_drive")
    assert [(e.name, e.body["status"]) for e in kept] == [("pipeline:status", "before"), ("pipeline:status", "after")]
    assert kept[1].body["own"] == ["a", 1]
    assert [e.name for e in recorder.emitted("/pipeline")][-2:] == ["pipeline:file_deleted", "pipeline:status"]
    assert [recorder.count(ns) for ns in ("/google_drive", "/local_files", "/pipeline", "/")] == [2, 0, 5, 5]
    assert recorder.emitted("/") == recorder.emitted("/pipeline")
    core_of(drive).flush(everything=True)
    assert recorder.count("/pipeline") == 5  # a flush request is not an event
