"""The record holds the state as it stood, then every event of a namespace as JSON carries it."""

from __future__ import annotations

from rag_pipeline import PipelineStatus
from rag_pipeline.status.pipeline import core_of
from tests.verify import Recorder


def test_the_record_begins_with_the_state_and_keeps_each_namespace_apart() -> None:
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
    assert recorder.count("/pipeline") == 5  # what asks for a flush is no event
