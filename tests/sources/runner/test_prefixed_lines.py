from __future__ import annotations

from rag_pipeline.sources.runner.prefixed_lines import PrefixedLines
from rag_pipeline.status.pipeline import PipelineStatus
from tests.sources.runner.test_file_lines import FakeService
from tests.sources.runner.test_terminal import Screen


def open_lines() -> tuple[PipelineStatus, PipelineStatus, Screen, PrefixedLines]:
    papers, notes = PipelineStatus("local_files", "papers"), PipelineStatus("google_drive", "notes")
    screen = Screen("ascii")
    return papers, notes, screen, PrefixedLines([papers, notes], screen)


def test_folders_and_addresses_come_first() -> None:
    _, _, screen, lines = open_lines()
    lines.start(FakeService("0.0.0.0", 8003, 8004), ["/docs", "My Drive \x07"])
    text = screen.text.splitlines()
    assert text[:2] == ["papers  local_files   /docs", "notes   google_drive  My Drive \\x07"]
    assert any(line.startswith("Status ") and "http://127.0.0.1:8003/status" in line for line in text)


def test_each_finished_file_is_a_line_in_order() -> None:
    papers, notes, screen, lines = open_lines()
    papers.complete_file("a.txt", result={"unchanged": True})
    notes.complete_file("b.pdf", success=False, error="it is damaged")
    papers.skip_file("c.png", "it is a picture")
    papers.delete_file("d.txt")
    lines.refresh()
    assert screen.text.splitlines() == [
        "papers  + a.txt  unchanged",
        "notes   ! b.pdf  failed: it is damaged",
        "papers  - c.png  skipped: it is a picture",
        "papers  x d.txt  removed",
    ]


def test_errors_and_pauses_are_printed_once_and_so_is_their_end() -> None:
    papers, _, screen, lines = open_lines()
    for fields in (
        {"status": "initializing"},
        {"status": "idle"},
        {"status": "error", "message": "the folder\nis gone"},
        {"status": "error", "message": "the folder\nis gone", "files_queued": 0},
        {"status": "scanning", "message": None},
        {"status": "idle"},
        {"status": "processing"},
        {"status": "paused"},
        {"status": "paused", "files_queued": 3},
        {"status": "processing"},
        {"status": "stopped"},
    ):
        papers.update(**fields)
        lines.refresh()
    assert [line.removeprefix("papers").strip() for line in screen.text.splitlines()] == [
        "! error: the folder is gone",
        "+ goes on",
        "- paused",
        "+ goes on",
    ]


def test_closing_prints_a_summary_for_each_pipeline_and_later_events_are_not_printed() -> None:
    papers, notes, screen, lines = open_lines()
    papers.complete_file("a.txt")
    lines.say("stopping ...")
    lines.close({"papers", "notes"})
    notes.complete_file("late.txt")
    lines.refresh()
    text = screen.text.splitlines()
    assert text[0] == "stopping ..."
    assert text[-2].startswith("papers  1 stored, 0 failed, 0 skipped, 0 removed in ")
    assert text[-1].startswith("notes   0 stored, 0 failed")
    assert "late" not in screen.text


def test_a_failed_pipeline_has_no_summary() -> None:
    _, _, screen, lines = open_lines()
    lines.close({"papers"})
    assert [line.split()[0] for line in screen.text.splitlines()] == ["papers"]
