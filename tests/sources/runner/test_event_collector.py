from __future__ import annotations

from rag_pipeline.contract import events
from rag_pipeline.sources.runner.event_collector import EventCollector
from rag_pipeline.status.pipeline import PipelineStatus


def test_events_of_all_pipelines_come_in_the_order_in_which_they_happened() -> None:
    papers, notes = PipelineStatus("local_files", "papers"), PipelineStatus("google_drive", "notes")
    collector = EventCollector([papers, notes])
    papers.complete_file("a.txt")
    notes.complete_file("b.txt")
    papers.complete_file("c.txt")
    done = [event for event in collector.take() if event.name == events.FILE_COMPLETED]
    assert [(event.pipeline_id, event.payload()["file"]["name"]) for event in done] == [
        ("papers", "a.txt"),
        ("notes", "b.txt"),
        ("papers", "c.txt"),
    ]
    assert list(collector.take()) == []


def test_after_closing_only_collected_events_are_left() -> None:
    papers = PipelineStatus("local_files", "papers")
    collector = EventCollector([papers])
    papers.complete_file("a.txt")
    collector.close()
    papers.complete_file("late.txt")
    names = [event.payload()["file"]["name"] for event in collector.take() if event.name == events.FILE_COMPLETED]
    assert names == ["a.txt"]
